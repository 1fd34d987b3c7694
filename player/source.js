// Which playlist the page plays.

// Where `make deploy-player` puts the page, the pair's playlist is one folder above it.
const DEFAULT = '../index.m3u8';

// What the address of the page asks for: `given` is what the input field shows, and either `url` is an absolute http or
// https URL, or `problem` says why there is none. It is the only way from the address to a player: a URL of any other
// scheme (javascript:, data:, blob:, file:) would be code, or something of this machine.
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
