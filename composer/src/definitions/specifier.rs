//! What `%` stands for in definitions.
//!
//! Specification: the table of specifiers in `man repart.d`. Those that describe the
//! machine a program runs on have no meaning for an image and are refused.

/// What specifiers stand for.
#[derive(Debug, Clone, Default)]
pub struct Specifiers {
    /// The name of the image: `%M`.
    pub name: Option<String>,
    /// The version of the image: `%A`.
    pub version: Option<String>,
    /// The architecture: `%a`.
    pub architecture: Option<String>,
}

impl Specifiers {
    /// Replaces every specifier of a text.
    ///
    /// # Errors
    /// When one is unknown, or stands for something that was not said.
    pub fn expand(&self, text: &str) -> Result<String, String> {
        self.expand_but(text, &[])
    }

    /// Replaces the specifiers of a text whose percent signs are looked at once more later:
    /// but for these.
    ///
    /// # Errors
    /// As [`Self::expand`].
    pub fn expand_but(&self, text: &str, later: &[char]) -> Result<String, String> {
        let percent = if later.is_empty() { "%" } else { "%%" };
        let mut out = String::new();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            if character != '%' {
                out.push(character);
                continue;
            }
            let specifier = characters.next();
            let given = |value: &Option<String>, key: &str| {
                let value = value.as_ref().map(|value| value.replace('%', percent));
                value.ok_or_else(|| {
                    format!("a specifier stands for `{key}` of the image, which has none")
                })
            };
            match specifier {
                Some(specifier) if later.contains(&specifier) => out.extend(['%', specifier]),
                Some('%') => out += percent,
                Some('a') => out += &given(&self.architecture, "architecture")?,
                Some('A') => out += &given(&self.version, "version")?,
                Some('M') => out += &given(&self.name, "name")?,
                Some('T') => out += "/tmp",
                Some('V') => out += "/var/tmp",
                Some(other) => {
                    return Err(format!(
                        "the specifier `%{}` says nothing about an image; there are %%, %a, %A, %M, %T and %V",
                        other.escape_debug()
                    ));
                }
                None => return Err("it ends in `%`; write `%%` for a percent sign".to_owned()),
            }
        }
        Ok(out)
    }
}
