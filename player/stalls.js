// Counts how often the picture froze without a pause of the viewer.

// `waiting` events miss a decoder that hangs, and include seeks. So this compares the position itself, which also changes
// between frames: a busy machine alone does not freeze it this long.
const STALL_MS = 300;
const LOOK_EVERY_MS = 100;
// Timers of a page in the background can be this late. Then the time in between is unknown.
const LOOKED_AWAY_MS = 2_000;

export function watchStalls(video) {
    const seen = { started: false, count: 0, total_ms: 0, standsSince: undefined };
    let position;
    let movedAt;
    let lookedAt;

    function over(now) {
        if (seen.standsSince !== undefined) seen.total_ms += now - seen.standsSince;
        seen.standsSince = undefined;
        movedAt = now;
    }

    const timer = setInterval(() => {
        const now = performance.now();
        const lookedAway = now - lookedAt > LOOKED_AWAY_MS;
        lookedAt = now;
        const { currentTime } = video;
        // A playlist that is opened again starts at 0, which is not progress.
        const moved = currentTime > position;
        position = currentTime;
        const isMeantToStand = video.paused || video.seeking || video.ended;
        if (!seen.started) {
            seen.started = moved && !isMeantToStand;
            movedAt = now;
        } else if (moved || video.paused || video.ended || lookedAway) {
            over(lookedAway ? movedAt : now);
            movedAt = now;
        } else if (video.seeking && seen.standsSince === undefined) {
            movedAt = now;
        } else if (seen.standsSince === undefined && now - movedAt >= STALL_MS) {
            seen.standsSince = movedAt;
            seen.count += 1;
        }
    }, LOOK_EVERY_MS);

    return {
        facts() {
            const isStanding = seen.standsSince !== undefined;
            const standing_ms = isStanding ? performance.now() - seen.standsSince : 0;
            return {
                started: seen.started,
                count: seen.count,
                total_s: (seen.total_ms + standing_ms) / 1000,
                isStanding,
            };
        },
        end: () => clearInterval(timer),
    };
}
