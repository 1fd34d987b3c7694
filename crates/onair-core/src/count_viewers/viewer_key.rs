//! What tells one viewer from another, and how he is kept: as a number that says nothing without
//! the secret.

use super::line::LoggedRequest;
use ipnet::IpNet;
use percent_encoding::percent_decode;
use sha2::{Digest, Sha256};
use siphasher::sip::SipHasher24;
use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// What a viewer is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ViewerKey {
    /// His address: people behind one router are one viewer.
    Address,
    /// His address and his player's `User-Agent`.
    AddressAgent,
    /// The last address of `X-Forwarded-For` that is none of these proxies', if the connection came
    /// from one of them.
    ForwardedFor(Vec<IpNet>),
    /// The session id that his player sends in each request (CTA-5004, `CMCD=sid="…"`).
    CmcdSid,
}

impl ViewerKey {
    /// As the setting and the result name it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::AddressAgent => "address+agent",
            Self::ForwardedFor(_) => "x-forwarded-for",
            Self::CmcdSid => "cmcd-sid",
        }
    }

    /// The key that a setting names.
    ///
    /// # Errors
    ///
    /// For another word, and where proxies are named without use, or needed.
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

    /// Who sent a request; `None` if it does not say what viewers are known by.
    ///
    /// # Errors
    ///
    /// [`NotAnAddress`] where there should be one.
    pub fn viewer(
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

/// A wrong key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ViewerKeyError {
    /// There is no such key.
    #[error("{0:?} is no key; it accepts address, address+agent, x-forwarded-for, cmcd-sid")]
    Unknown(String),
    /// Anybody can send the header.
    #[error(
        "x-forwarded-for needs the trusted proxies: the header is believed only where it comes from one of them, since \
         anybody can send it"
    )]
    NoProxies,
    /// They would have no effect.
    #[error("trusted proxies mean nothing with {0}: they are for x-forwarded-for")]
    UselessProxies(&'static str),
}

/// There is something else in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnAddress;

/// Turns viewers into numbers that cannot be turned back, nor be found out by trying all addresses,
/// without it.
#[derive(Clone)]
pub struct ViewerSecret(SipHasher24);

impl ViewerSecret {
    /// From any text that is hard to guess.
    pub fn new(text: &str) -> Self {
        let mut key = [0; 16];
        key.copy_from_slice(&Sha256::digest(text)[..16]);
        Self(SipHasher24::new_with_key(&key))
    }

    /// The number that stands for this.
    pub fn hash(&self, bytes: &[u8]) -> u64 {
        self.0.hash(bytes)
    }

    /// The same address is the same in each of its spellings.
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

/// `203.0.113.7`, `2001:db8::7`; an IPv4 address that a socket for both wrote as IPv6 is that IPv4
/// address.
fn address(text: &[u8]) -> Option<IpAddr> {
    let address: IpAddr = std::str::from_utf8(text).ok()?.parse().ok()?;
    Some(address.to_canonical())
}

/// From the nearest hop outwards: the first that is no proxy of ours is the client, since only what
/// a trusted proxy wrote is believed.
fn client(peer: IpAddr, forwarded_for: Option<&[u8]>, proxies: &[IpNet]) -> Option<IpAddr> {
    let is_trusted = |address: &IpAddr| proxies.iter().any(|proxies| proxies.contains(address));
    if !is_trusted(&peer) {
        return Some(peer);
    }
    let mut nearest = peer;
    // A proxy that does not say whom it asks for is no viewer.
    for hop in forwarded_for?.rsplit(|byte| *byte == b',') {
        if !is_trusted(&nearest) {
            break;
        }
        nearest = forwarded(hop)?;
    }
    Some(nearest)
}

/// One entry: some proxies add the port. CloudFront writes a blank as `%20`.
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

/// More is no session id: CTA-5004 allows 64 characters.
const MAX_SID_BYTES: usize = 64;

/// The value of `sid` in the query's `CMCD`. CloudFront escapes the escapes.
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
    fn one_address_is_one_viewer_however_it_is_written() {
        let viewer = |text: &str| ViewerKey::Address.viewer(&from(text, ""), &secret());
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
            ViewerKey::Address.viewer(&from("203.0.113.7", ""), &ViewerSecret::new("another"));
        assert_ne!(viewer("203.0.113.7"), other);
    }

    #[test]
    fn only_what_a_trusted_proxy_wrote_is_believed() {
        let proxies = ["10.0.0.0/8", "2001:db8:1::/48"]
            .map(|block| block.parse().unwrap())
            .to_vec();
        let viewer_key = ViewerKey::ForwardedFor(proxies);
        let viewer = |peer: &str, hops: &str| viewer_key.viewer(&from(peer, hops), &secret());
        let address = |text: &str| ViewerKey::Address.viewer(&from(text, ""), &secret());
        let rows = [
            ("203.0.113.7", "", "203.0.113.7"),
            // Not from a proxy: what he says of himself is nothing.
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
    fn a_session_is_known_by_its_id_alone() {
        let viewer = |query: &str| {
            ViewerKey::CmcdSid.viewer(
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
    fn a_secret_shows_nothing_of_itself() {
        assert_eq!(format!("{:?}", secret()), "Secret");
    }
}
