//! The key that identifies a viewer, and the hash that is stored instead of the key. Without the
//! secret, the hash cannot be traced to a viewer.

use super::line::LoggedRequest;
use ipnet::IpNet;
use percent_encoding::percent_decode;
use sha2::{Digest, Sha256};
use siphasher::sip::SipHasher24;
use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The part of a request that identifies the viewer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ViewerKey {
    /// The address of the connection. All viewers behind one router count as one.
    Address,
    /// The address of the connection and the `User-Agent` of the player.
    AddressAgent,
    /// The last address of `X-Forwarded-For` that does not belong to these trusted proxies. The
    /// header is ignored unless the connection came from one of them.
    ForwardedFor(Vec<IpNet>),
    /// The session id that the player sends in each request (CTA-5004, `CMCD=sid="…"`).
    CmcdSid,
}

impl ViewerKey {
    /// The names of all keys.
    pub const NAMES: [&str; 4] = ["address", "address+agent", "x-forwarded-for", "cmcd-sid"];

    /// The name in settings, arguments and results.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::AddressAgent => "address+agent",
            Self::ForwardedFor(_) => "x-forwarded-for",
            Self::CmcdSid => "cmcd-sid",
        }
    }

    /// Parses the name of a key.
    ///
    /// # Errors
    ///
    /// [`ViewerKeyError`] for an unknown name, and for proxies that are missing or have no effect.
    pub fn parse(name: &str, proxies: Vec<IpNet>) -> Result<Self, ViewerKeyError> {
        let viewer_key = match name {
            "address" => Self::Address,
            "address+agent" => Self::AddressAgent,
            "x-forwarded-for" if proxies.is_empty() => return Err(ViewerKeyError::NoProxies),
            "x-forwarded-for" => return Ok(Self::ForwardedFor(proxies)),
            "cmcd-sid" => Self::CmcdSid,
            other => return Err(ViewerKeyError::Unknown(other.to_owned())),
        };
        if proxies.is_empty() {
            Ok(viewer_key)
        } else {
            Err(ViewerKeyError::UselessProxies(viewer_key.name()))
        }
    }

    /// Hashes the viewer who sent a request. `None` if the request lacks the key.
    ///
    /// # Errors
    ///
    /// [`NotAnAddress`] if the address is missing or malformed and the key needs it.
    pub fn hash_viewer(
        &self,
        request: &LoggedRequest<'_>,
        secret: &ViewerSecret,
    ) -> Result<Option<u64>, NotAnAddress> {
        let peer = || request.address.and_then(address).ok_or(NotAnAddress);
        Ok(match self {
            Self::Address => Some(secret.hash_address(peer()?, b"")),
            Self::AddressAgent => {
                let peer = peer()?;
                request.agent.map(|agent| secret.hash_address(peer, agent))
            }
            Self::ForwardedFor(proxies) => client(peer()?, request.forwarded_for, proxies)
                .map(|client| secret.hash_address(client, b"")),
            Self::CmcdSid => request.query.and_then(session).map(|sid| secret.hash(&sid)),
        })
    }
}

/// A viewer key that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ViewerKeyError {
    /// No key has this name.
    #[error("{0:?} is not a viewer key; expected {names}", names = ViewerKey::NAMES.join(", "))]
    Unknown(String),
    /// Any client can send the header, so it proves nothing without trusted proxies.
    #[error(
        "x-forwarded-for requires trusted proxies: any client can send the header, \
         so only a header from a trusted proxy is used"
    )]
    NoProxies,
    /// The key does not use proxies.
    #[error("trusted proxies have no effect with {0}; only x-forwarded-for uses them")]
    UselessProxies(&'static str),
}

/// The address of a request is missing or malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnAddress;

/// The secret of a keyed hash (`SipHash`). Without it, a hash cannot be traced to an address, even
/// by hashing all addresses.
#[derive(Clone)]
pub struct ViewerSecret(SipHasher24);

impl ViewerSecret {
    /// Derives the secret from a text that is hard to guess.
    pub fn new(text: &str) -> Self {
        let mut key = [0; 16];
        key.copy_from_slice(&Sha256::digest(text)[..16]);
        Self(SipHasher24::new_with_key(&key))
    }

    /// Hashes the bytes that identify a viewer.
    pub fn hash(&self, bytes: &[u8]) -> u64 {
        self.0.hash(bytes)
    }

    /// All spellings of an address have the same hash.
    fn hash_address(&self, address: IpAddr, more: &[u8]) -> u64 {
        let (v4, v6);
        let octets: &[u8] = match address {
            IpAddr::V4(address) => {
                v4 = address.octets();
                &v4
            }
            IpAddr::V6(address) => {
                v6 = address.octets();
                &v6
            }
        };
        if more.is_empty() {
            self.hash(octets)
        } else {
            self.hash(&[octets, more].concat())
        }
    }
}

impl fmt::Debug for ViewerSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// `203.0.113.7`, `2001:db8::7`. A dual-stack socket writes an IPv4 address as
/// `::ffff:203.0.113.7`, which is the IPv4 address again here.
fn address(text: &[u8]) -> Option<IpAddr> {
    let address: IpAddr = std::str::from_utf8(text).ok()?.parse().ok()?;
    Some(address.to_canonical())
}

/// Reads the hops from the nearest outwards. The first hop that is not a trusted proxy is the
/// client: only entries that a trusted proxy wrote are reliable.
fn client(peer: IpAddr, forwarded_for: Option<&[u8]>, proxies: &[IpNet]) -> Option<IpAddr> {
    let is_trusted = |address: &IpAddr| proxies.iter().any(|proxies| proxies.contains(address));
    if !is_trusted(&peer) {
        return Some(peer);
    }
    let mut nearest = peer;
    // A request of a proxy without the header does not identify a viewer.
    for hop in forwarded_for?.rsplit(|byte| *byte == b',') {
        if !is_trusted(&nearest) {
            break;
        }
        nearest = forwarded(hop)?;
    }
    Some(nearest)
}

/// Parses one entry. Some proxies add the port. CloudFront writes a space as `%20`.
fn forwarded(hop: &[u8]) -> Option<IpAddr> {
    let hop = hop.strip_prefix(b"%20").unwrap_or(hop).trim_ascii();
    let with_port = || {
        Some(
            std::str::from_utf8(hop)
                .ok()?
                .parse::<SocketAddr>()
                .ok()?
                .ip()
                .to_canonical(),
        )
    };
    let bracketed = || address(hop.strip_prefix(b"[")?.strip_suffix(b"]")?);
    address(hop).or_else(with_port).or_else(bracketed)
}

/// CTA-5004 allows 64 characters.
const MAX_SID_BYTES: usize = 64;

/// The value of `sid` in the `CMCD` of a query. CloudFront escapes a query that is already escaped.
fn session(query: &[u8]) -> Option<Cow<'_, [u8]>> {
    let value = query
        .split(|byte| *byte == b'&')
        .find_map(|pair| pair.strip_prefix(b"CMCD="))?;
    let once: Cow<'_, [u8]> = percent_decode(value).into();
    let sid = sid_of(&once).or_else(|| sid_of(&Cow::from(percent_decode(&once))))?;
    Some(Cow::Owned(sid))
}

fn sid_of(cmcd: &[u8]) -> Option<Vec<u8>> {
    let sid = cmcd
        .split(|byte| *byte == b',')
        .find_map(|pair| pair.strip_prefix(b"sid="))?;
    let sid = sid.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    (!sid.is_empty() && sid.len() <= MAX_SID_BYTES).then(|| sid.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> ViewerSecret {
        ViewerSecret::new("a secret")
    }

    fn from<'a>(address: &'a str, forwarded_for: &'a str) -> LoggedRequest<'a> {
        let forwarded_for = (!forwarded_for.is_empty()).then_some(forwarded_for.as_bytes());
        LoggedRequest {
            address: Some(address.as_bytes()),
            forwarded_for,
            ..LoggedRequest::default()
        }
    }

    #[test]
    fn all_spellings_of_an_address_are_one_viewer() {
        let viewer = |text: &str| ViewerKey::Address.hash_viewer(&from(text, ""), &secret());
        assert_eq!(viewer("203.0.113.7"), viewer("::ffff:203.0.113.7"));
        assert_eq!(viewer("2001:db8::7"), viewer("2001:0DB8:0:0:0:0:0:7"));
        assert_ne!(viewer("203.0.113.7"), viewer("203.0.113.8"));
        for text in [
            "",
            "unix:",
            "203.0.113",
            "203.0.113.7 ",
            "host.example",
            "\u{e9}",
        ] {
            assert_eq!(viewer(text), Err(NotAnAddress), "{text}");
        }
        let other =
            ViewerKey::Address.hash_viewer(&from("203.0.113.7", ""), &ViewerSecret::new("another"));
        assert_ne!(viewer("203.0.113.7"), other);
    }

    #[test]
    fn only_an_entry_of_a_trusted_proxy_is_used() {
        let proxies = ["10.0.0.0/8", "2001:db8:1::/48"]
            .map(|block| block.parse().unwrap())
            .to_vec();
        let viewer_key = ViewerKey::ForwardedFor(proxies);
        let viewer = |peer: &str, hops: &str| viewer_key.hash_viewer(&from(peer, hops), &secret());
        let address = |text: &str| ViewerKey::Address.hash_viewer(&from(text, ""), &secret());
        let rows = [
            ("203.0.113.7", "", "203.0.113.7"),
            // Not from a proxy: the header of a client is ignored.
            ("203.0.113.7", "198.51.100.1", "203.0.113.7"),
            ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
            ("10.0.0.1", "192.0.2.99, 198.51.100.1", "198.51.100.1"),
            (
                "10.0.0.1",
                "192.0.2.99,%20198.51.100.1,%2010.0.0.2",
                "198.51.100.1",
            ),
            ("2001:db8:1::1", "198.51.100.1:4711", "198.51.100.1"),
            ("10.0.0.1", "[2001:db8::7]:4711", "2001:db8::7"),
            ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ];
        for (peer, hops, expected) in rows {
            assert_eq!(viewer(peer, hops), address(expected), "{peer} {hops:?}");
        }
        assert_eq!(viewer("10.0.0.1", ""), Ok(None));
        assert_eq!(viewer("10.0.0.1", "unknown"), Ok(None));
        assert_eq!(viewer("10.0.0.1", "203.0.113.7, , 10.0.0.2"), Ok(None));
    }

    #[test]
    fn a_session_is_identified_by_its_id_alone() {
        let viewer = |query: &str| {
            ViewerKey::CmcdSid.hash_viewer(
                &LoggedRequest {
                    query: Some(query.as_bytes()),
                    ..LoggedRequest::default()
                },
                &secret(),
            )
        };
        let expected = Ok(Some(secret().hash(b"6e2fb550-c457")));
        for query in [
            "CMCD=br%3D3200%2Csid%3D%226e2fb550-c457%22",
            "t=1&CMCD=sid%3D%226e2fb550-c457%22%2Cbr%3D1",
            "CMCD=br%253D3200%252Csid%253D%25226e2fb550-c457%2522",
        ] {
            assert_eq!(viewer(query), expected, "{query}");
        }
        let long = format!("CMCD=sid%3D%22{}%22", "a".repeat(65));
        for query in [
            "",
            "CMCD=br%3D1",
            "CMCD=sid%3D%22%22",
            "CMCD=sid%3Da",
            "XCMCD=sid%3D%22a%22",
            &long,
        ] {
            assert_eq!(viewer(query), Ok(None), "{query}");
        }
    }

    #[test]
    fn debug_output_hides_the_secret() {
        assert_eq!(format!("{:?}", secret()), "Secret");
    }
}
