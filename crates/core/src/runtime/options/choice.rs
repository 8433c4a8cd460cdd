//! Options that are one of some texts.

/// Gives an enumeration its texts in JavaScript, and makes it a type of option. Another text is an error.
///
/// ```ignore
/// choice! {
///     Overflow { Evict = "evict", Deny = "deny", Allow = "allow" }
/// }
/// ```
macro_rules! choice {
    ($Type:ident { $($Value:ident = $text:literal),* $(,)? }) => {
        impl $Type {
            /// The texts that stand for the values in JavaScript.
            pub(crate) const TEXTS: &'static [&'static str] = &[$($text),*];

            fn from_text(text: &str) -> Option<Self> {
                match text {
                    $($text => Some(Self::$Value),)*
                    _ => None,
                }
            }
        }

        impl std::fmt::Display for $Type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let text = match self {
                    $(Self::$Value => $text,)*
                };
                write!(f, "{text:?}")
            }
        }

        impl $crate::runtime::options::OptionValue for $Type {
            fn read(source: &dyn $crate::runtime::options::Source, name: &str) -> Option<Self> {
                Self::from_text(&source.text(name)?)
            }

            fn update(
                &mut self,
                source: &dyn $crate::runtime::options::Source,
                name: &str,
            ) -> $crate::Result<()> {
                if let Some(text) = source.text(name) {
                    *self = Self::from_text(&text)
                        .ok_or_else(|| $crate::runtime::options::no_choice(name, &text, Self::TEXTS))?;
                }
                Ok(())
            }

            fn check(&self, _: &str, _: &$crate::runtime::options::Accepts) -> $crate::Result<()> {
                Ok(())
            }

            fn print(&self, _: &$crate::runtime::options::Accepts) -> String {
                self.to_string()
            }
        }
    };
}
pub(crate) use choice;
