use clap::builder::PossibleValue;
use clap::{Args, ValueEnum, ValueHint};
use ipnet::IpNet;
use onair_core::count_viewers::CountingRules;
use onair_core::count_viewers::line::LogFormat;
use onair_core::count_viewers::stream::{Pattern, PatternError, StreamRule};
use onair_core::count_viewers::viewer_key::{ViewerKey, ViewerSecret};
use onair_core::number::WholeNumber;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  Count the viewers in the logs of one or more servers:
    onair viewers access.log access.log.1.gz

  Print JSON lines for another program:
    onair viewers --json /var/log/nginx/viewers.log | jq .viewers

  Distinguish players behind one address by their User-Agent:
    onair viewers --key address+agent access.log

  Count viewers behind a proxy:
    onair viewers --key x-forwarded-for --trusted-proxy 10.0.0.0/8 access.log

  Count a log that is compressed with zstd:
    zstdcat access.log.zst | onair viewers -";

/// Count concurrent viewers per stream and minute, from access logs
///
/// A viewer is counted from their first request for a playlist or a segment until the window has
/// passed without another request. The data point of a minute is the number of viewers at its end.
/// Several files are counted together: a viewer in two of them is counted once.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Access logs, plain or gzip; - is standard input
    #[arg(required = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) files: Vec<PathBuf>,
    /// Print one JSON object per line instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    /// Seconds for which a viewer is counted after a request, 1 to 86400
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 60,
        allow_negative_numbers = true,
        value_parser = |text: &str| WINDOW_S.parse(text)
    )]
    window_seconds: u32,
    /// Key that identifies a viewer
    #[arg(long, value_enum, default_value_t = KeyArgument::Address)]
    key: KeyArgument,
    /// Proxies whose X-Forwarded-For is trusted, separated by commas: 10.0.0.1, 10.0.0.0/8
    #[arg(long, value_name = "ADDRESSES", value_delimiter = ',', value_parser = addresses)]
    trusted_proxy: Vec<IpNet>,
    /// Format of the logs [default: detected from the first lines]
    #[arg(long, value_enum)]
    format: Option<FormatArgument>,
    /// Pattern of the paths of a stream: /live/{stream}/** [default: the folder above the
    /// renditions]
    #[arg(long, value_name = "PATTERN", value_delimiter = ',', value_parser = pattern)]
    stream: Vec<Pattern>,
    /// Most viewers per stream and minute that are counted exactly, 0 to 1000000000; more are
    /// estimated within 2 %
    #[arg(
        long,
        value_name = "VIEWERS",
        default_value_t = 100_000,
        allow_negative_numbers = true,
        value_parser = |text: &str| EXACT_UP_TO.parse(text)
    )]
    exact_up_to: usize,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum KeyArgument {
    /// The address
    #[value(alias = "ip")]
    Address,
    /// The address and the player's User-Agent
    #[value(name = "address+agent", aliases = ["address+user-agent", "address-agent", "ip+ua"])]
    AddressAgent,
    /// The last address in X-Forwarded-For that is not a --trusted-proxy
    #[value(name = "x-forwarded-for", aliases = ["forwarded-for", "xff"])]
    ForwardedFor,
    /// The session id that the player sends (CMCD)
    #[value(aliases = ["cmcd", "sid"])]
    CmcdSid,
}

impl KeyArgument {
    fn name(self) -> String {
        self.to_possible_value()
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }
}

/// A format of the core, by its name.
#[derive(Debug, Clone, Copy)]
struct FormatArgument(LogFormat);

impl ValueEnum for FormatArgument {
    fn value_variants<'a>() -> &'a [Self] {
        const ALL: [FormatArgument; 4] = [
            FormatArgument(LogFormat::Combined),
            FormatArgument(LogFormat::CloudFront),
            FormatArgument(LogFormat::Alb),
            FormatArgument(LogFormat::OnAir),
        ];
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let (name, _) = LogFormat::NAMES
            .iter()
            .find(|(_, format)| *format == self.0)?;
        Some(PossibleValue::new(*name))
    }
}

/// One day at most.
const WINDOW_S: WholeNumber<u32> = WholeNumber {
    unit: "seconds",
    range: 1..=86_400,
    example: 60,
};
/// No stream reaches the upper limit.
const EXACT_UP_TO: WholeNumber<usize> = WholeNumber {
    unit: "viewers",
    range: 0..=1_000_000_000,
    example: 100_000,
};

fn pattern(text: &str) -> Result<Pattern, PatternError> {
    text.trim().parse()
}

fn addresses(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    let one = || text.parse::<IpAddr>().map(IpNet::from).ok();
    text.parse().ok().or_else(one).ok_or_else(|| {
        "expected an IP address or a CIDR block, such as 10.0.0.1, 10.0.0.0/8 or 2001:db8::/32"
            .to_owned()
    })
}

/// More rows than a person reads.
const MAX_STREAMS: usize = 1000;

impl Arguments {
    pub(crate) fn rules(&self) -> Result<CountingRules, String> {
        let viewer_key = ViewerKey::parse(&self.key.name(), self.trusted_proxy.clone());
        let viewer_key = viewer_key.map_err(|error| format!("--key: {error} (--trusted-proxy)"))?;
        let streams = match self.stream.as_slice() {
            [] => StreamRule::Usual,
            patterns => StreamRule::Patterns(patterns.to_vec()),
        };
        Ok(CountingRules {
            window_s: NonZeroU32::new(self.window_seconds).unwrap_or(NonZeroU32::MIN),
            viewer_key,
            // A fixed secret gives the same estimates for the same files. Hashes are neither stored
            // nor shown here.
            secret: ViewerSecret::new("viewers"),
            streams,
            format: self.format.map(|FormatArgument(format)| format),
            exact_up_to: self.exact_up_to,
            max_streams: MAX_STREAMS,
        })
    }
}
