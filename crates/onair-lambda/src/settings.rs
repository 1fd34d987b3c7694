use crate::Error;

/// Where settings come from: the process's environment, or a closure in a test.
pub struct Environment<F>(F);

/// The process's environment.
pub fn environment() -> Environment<impl Fn(&str) -> Option<String>> {
    Environment(|name: &str| std::env::var(name).ok())
}

impl<F: Fn(&str) -> Option<String>> Environment<F> {
    /// Settings from any other source.
    pub fn of(lookup: F) -> Self {
        Self(lookup)
    }

    /// A setting's value without the blanks around it. Empty is the same as not set: a template
    /// cannot leave a variable out as easily.
    pub fn get(&self, name: &str) -> Option<String> {
        (self.0)(name)
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty())
    }

    /// One of a few words, the first being the default.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for any other word.
    pub fn choice<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<T, Error> {
        let Some(value) = self.get(name) else {
            return Ok(words[0].1);
        };
        let found = words
            .iter()
            .find(|(word, _)| *word == value)
            .map(|(_, meaning)| *meaning);
        found.ok_or_else(|| {
            let accepted: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            Error::Config(format!(
                "{name} is {value:?}; it accepts {}",
                accepted.join(", ")
            ))
        })
    }
}
