//! The attributes of a tag, in their original order and spelling, so that unknown attributes are
//! published unchanged.

/// The attributes of a tag (RFC 8216, 4.2).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Attributes(Vec<(String, String)>);

impl Attributes {
    /// Parses the line of a tag, which [`crate::playlist::MultivariantPlaylist`] has accepted.
    pub(super) fn of_tag(line: &str) -> Self {
        let mut rest = line.split_once(':').map_or("", |(_, list)| list);
        let mut attributes = Vec::new();
        while let Some((name, value)) = rest.split_once('=') {
            let quoted = value
                .strip_prefix('"')
                .and_then(|value| value.find('"'))
                .map(|end| end + 2);
            let end = quoted.unwrap_or_else(|| value.find(',').unwrap_or(value.len()));
            attributes.push((name.trim().to_owned(), value[..end].trim().to_owned()));
            rest = value[end..].trim_start_matches([',', ' ']);
        }
        Self(attributes)
    }

    /// A value as in the tag, with its quotes.
    pub(super) fn raw(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// A value without its quotes, if it has any.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.raw(name).map(|value| value.trim_matches('"'))
    }

    /// A value as a number.
    pub(super) fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.text(name)?.parse().ok()
    }

    /// Sets a value without quotes, in its present position or at the end.
    pub(super) fn set(&mut self, name: &str, value: impl std::fmt::Display) {
        let value = value.to_string();
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// Sets a quoted value.
    pub(super) fn set_text(&mut self, name: &str, value: &str) {
        self.set(name, format_args!("\"{value}\""));
    }

    /// The other attributes.
    pub(super) fn without(&self, names: &[&str]) -> Self {
        Self(
            self.0
                .iter()
                .filter(|(name, _)| !names.contains(&name.as_str()))
                .cloned()
                .collect(),
        )
    }
}

impl std::fmt::Display for Attributes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (number, (name, value)) in self.0.iter().enumerate() {
            write!(f, "{}{name}={value}", if number == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parsed_attributes_are_written_unchanged() {
        let line =
            r#"#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS="avc1,mp4a",X-NEW="a=b,c",FRAME-RATE=30.000"#;
        let attributes = Attributes::of_tag(line);
        assert_eq!(format!("#EXT-X-STREAM-INF:{attributes}"), line);
        assert_eq!(attributes.text("CODECS"), Some("avc1,mp4a"));
        assert_eq!(attributes.text("X-NEW"), Some("a=b,c"));
        assert_eq!(attributes.number("BANDWIDTH"), Some(1_u64));
        assert_eq!(
            attributes.without(&["X-NEW", "CODECS"]).to_string(),
            "BANDWIDTH=1,FRAME-RATE=30.000"
        );
    }
}
