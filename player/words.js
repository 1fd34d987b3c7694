// Formats numbers and errors for an operator.

export const NONE = '–';

export function seconds(value) {
    if (!Number.isFinite(value)) return NONE;
    if (value >= 90) return duration(value);
    return `${value.toFixed(1)} s`;
}

// Whole units, two of them: 45 s, 3 min 05 s, 2 h 10 min.
export function duration(value) {
    const whole = Math.max(0, Math.round(value));
    const two = (number) => String(number).padStart(2, '0');
    if (whole < 60) return `${whole} s`;
    if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
    return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
}

export function bitrate(bits) {
    if (!bits) return NONE;
    return bits >= 1e6 ? `${(bits / 1e6).toFixed(bits >= 1e7 ? 0 : 1)} Mbit/s` : `${Math.round(bits / 1e3)} kbit/s`;
}

// The usual name of a rendition, such as 720p60. Frame rates up to 30 are left out.
export function rung({ height, frameRate }) {
    if (!height) return 'Sound only, or unnamed';
    return `${height}p${frameRate > 30 ? Math.round(frameRate) : ''}`;
}

export function clock(date) {
    return date.toLocaleTimeString('en-GB');
}

export function hostOf(url) {
    try {
        return new URL(url).host;
    } catch {
        return '';
    }
}

// Texts for hls.js errors by their `details`. Other errors are shown by that name.
const ERRORS = {
    manifestLoadError: 'The playlist could not be loaded',
    manifestLoadTimeOut: 'The playlist did not come in time',
    manifestParsingError: 'The playlist is not one',
    manifestIncompatibleCodecsError: 'This browser can decode none of the renditions',
    levelEmptyError: "A rendition's playlist names no segment",
    playlistUnchangedError: "A rendition's playlist does not move any more",
    levelLoadError: "A rendition's playlist could not be loaded",
    levelLoadTimeOut: "A rendition's playlist did not come in time",
    levelParsingError: "A rendition's playlist cannot be understood",
    levelSwitchError: 'There is no such rendition',
    audioTrackLoadError: "The sound's playlist could not be loaded",
    audioTrackLoadTimeOut: "The sound's playlist did not come in time",
    subtitleTrackLoadError: "The subtitles' playlist could not be loaded",
    subtitleTrackLoadTimeOut: "The subtitles' playlist did not come in time",
    fragLoadError: 'A segment could not be loaded',
    fragLoadTimeOut: 'A segment did not come in time',
    fragDecryptError: 'A segment could not be decrypted',
    fragParsingError: 'A segment is damaged',
    fragGap: 'The playlist says that a segment is missing (EXT-X-GAP)',
    keyLoadError: 'A key could not be loaded',
    keyLoadTimeOut: 'A key did not come in time',
    bufferAddCodecError: 'This browser cannot decode the stream',
    bufferIncompatibleCodecsError: 'This browser cannot decode the stream',
    bufferAppendError: 'The browser refused a segment',
    bufferAppendingError: 'The browser refused a segment',
    bufferStalledError: 'The buffer ran empty',
    bufferFullError: 'The buffer is full',
    bufferSeekOverHole: 'A hole in the stream was jumped over',
    bufferNudgeOnStall: 'The picture stood with data there, and was nudged on',
    internalException: 'hls.js itself failed',
};

// An error of hls.js as text: what, why, where.
export function hlsError(data) {
    const what = ERRORS[data.details] ?? `hls.js: ${data.details}`;
    const status = data.response?.code;
    // 0 means a refused connection, or a missing Access-Control-Allow-Origin.
    const isLoading = /LoadError$/.test(data.details);
    const why = status ? `: ${status}` : isLoading ? ': no answer that this page may read (network, or CORS)' : '';
    const at = data.url ?? data.frag?.url ?? data.context?.url;
    return `${what}${why}${at ? `, ${place(at)}` : ''}`;
}

// An error of a video element: HTMLMediaElement.error.
export function mediaError(error) {
    const words = ['', 'Playing was ended', 'The network failed', 'The stream could not be decoded',
        'The playlist could not be loaded, or this browser cannot play it'];
    return `${words[error?.code] || 'The browser gave up'}${error?.message ? `: ${error.message}` : ''}`;
}

// Host and file name: a whole URL does not fit on a phone.
function place(url) {
    try {
        const { host, pathname } = new URL(url);
        return `${host} …/${decodeURI(pathname.slice(pathname.lastIndexOf('/') + 1))}`;
    } catch {
        return '';
    }
}
