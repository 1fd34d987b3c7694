// Finds the playlist that the page plays.

// `make deploy-player` puts the page one folder below the pair's playlist.
const DEFAULT = '../index.m3u8';

// The source in the address of the page: `given` is the text of the input field. Either `url` is an absolute http or
// https URL, or `problem` is the reason why there is none. Every source passes here: a URL of another scheme (javascript:,
// data:, blob:, file:) would be code, or a file of this machine.
export function chosenSource(page) {
    const address = new URL(page);
    const asked = (address.searchParams.get('src') ?? '').trim();
    const given = asked || new URL(DEFAULT, address).href;
    let url;
    try {
        url = new URL(given, address);
    } catch {
        return { given, problem: 'This is not a URL. A playlist has one that starts with https:// or http://.' };
    }
    if (url.protocol !== 'https:' && url.protocol !== 'http:') {
        return { given, problem: `Only http and https are played, not ${url.protocol}` };
    }
    if (address.protocol === 'https:' && url.protocol === 'http:' && !isLoopback(url.hostname)) {
        return {
            given,
            problem: 'This page came by https, and a browser plays nothing in it that comes by http. '
                + 'Give the https URL of the playlist.',
        };
    }
    return { given, url: url.href };
}

// A browser trusts its own machine without https.
function isLoopback(host) {
    return host === 'localhost' || host.endsWith('.localhost') || host === '[::1]' || /^127\./.test(host);
}
