//! The macro that declares options.

/// Declares the options of a component: one line for each.
///
/// ```ignore
/// options! {
///     /// Options of a breaker.
///     pub struct CircuitBreakerOptions of "CircuitBreaker" {
///         /// The share of failures that opens a circuit.
///         failure_rate: f64 = "failureRate", Accepts::rate(), default 0.5;
///         /// How long a circuit stays open at first.
///         open_for_ms: u64 = "openFor", Accepts::duration(), required as open_for_ms;
///         /// The longest opening.
///         max_open_for_ms: Option<u64> = "maxOpenFor", Accepts::duration();
///     }
/// }
/// ```
///
/// An option with neither `required` nor `default` is an `Option`, or has the default of its type.
macro_rules! options {
    (
        $(#[$meta:meta])*
        $visibility:vis struct $Options:ident of $owner:literal {
            $(
                $(#[$doc:meta])*
                $field:ident: $type:ty = $name:literal, $accepts:expr
                    $(, required as $required:ident)? $(, default $default:expr)?;
            )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        $visibility struct $Options {
            $($(#[$doc])* pub $field: $type,)*
        }

        impl $Options {
            /// The options by their names in JavaScript.
            $visibility const FIELDS: &'static [$crate::runtime::options::Field] = &[
                $($crate::runtime::options::Field {
                    name: $name,
                    accepts: $accepts,
                    default: $crate::runtime::options::options!(@literal [$($default)?]),
                    is_required: $crate::runtime::options::options!(@is_required [$($required)?]),
                },)*
            ];

            /// What is required, and everything else by default.
            #[must_use]
            $visibility fn new($($($required: $type,)?)*) -> Self {
                Self {
                    $($field: $crate::runtime::options::options!(@initial [$($required)?] [$($default)?]),)*
                }
            }

            /// The options in `source`. What is left out has its default; a required option that is left out is an
            /// error.
            $visibility fn read(source: &dyn $crate::runtime::options::Source) -> $crate::Result<Self> {
                use $crate::runtime::options::OptionValue;
                $($(
                    let $required = <$type>::read(source, $name)
                        .ok_or_else(|| $crate::runtime::options::missing($owner, $name, Self::FIELDS))?;
                )?)*
                let mut options = Self::new($($($required,)?)*);
                $(
                    if let Some(value) = <$type>::read(source, $name) {
                        options.$field = value;
                    }
                )*
                Ok(options)
            }

            /// Whether each option is in its range.
            #[allow(dead_code, reason = "options in a list are checked under their place in it")]
            pub(crate) fn check_ranges(&self) -> $crate::Result<()> {
                self.check_ranges_of($owner)
            }

            /// As `check_ranges`; messages call the owner of the options `owner`.
            pub(crate) fn check_ranges_of(&self, owner: &str) -> $crate::Result<()> {
                use $crate::runtime::options::OptionValue;
                $(self.$field.check(&format!("{owner} {}", $name), &$accepts)?;)*
                Ok(())
            }

            /// The options as the user would read them.
            #[allow(dead_code, reason = "a component may print its options in another form")]
            pub(crate) fn list(&self) -> $crate::runtime::OptionList {
                use $crate::runtime::options::OptionValue;
                vec![$(($name, self.$field.print(&$accepts)),)*]
            }
        }
    };
    (@literal [$default:expr]) => { Some(stringify!($default)) };
    (@literal []) => { None };
    (@is_required [$required:ident]) => { true };
    (@is_required []) => { false };
    (@initial [$required:ident] []) => { $required };
    (@initial [] [$default:expr]) => { $default };
    (@initial [] []) => { Default::default() };
}
pub(crate) use options;

#[cfg(test)]
mod tests {
    use super::super::{Accepts, Source};
    use crate::Result;

    options! {
        /// Options of nothing.
        pub(super) struct Thing of "Thing" {
            /// So many.
            count: u64 = "count", Accepts::up_to(10), default 3;
            /// For so long.
            time_ms: u64 = "time", Accepts::duration(), required as time_ms;
            /// Or so long.
            most_ms: Option<u64> = "most", Accepts::duration();
            /// A share.
            share: f64 = "share", Accepts::rate(), default 0.5;
        }
    }

    struct Numbers(Vec<(&'static str, f64)>);

    impl Source for Numbers {
        fn number(&self, name: &str) -> Option<f64> {
            self.0.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
        }
        fn boolean(&self, _: &str) -> Option<bool> {
            None
        }
        fn text(&self, _: &str) -> Option<String> {
            None
        }
        fn texts(&self, _: &str) -> Option<Vec<String>> {
            None
        }
        fn nested(&self, _: &str) -> Option<Box<dyn Source + '_>> {
            None
        }
        fn list(&self, _: &str) -> Option<Vec<Box<dyn Source + '_>>> {
            None
        }
    }

    fn read(given: &[(&'static str, f64)]) -> Result<Thing> {
        Thing::read(&Numbers(given.to_vec()))
    }

    #[test]
    fn fills_in_defaults_and_asks_for_what_has_none() {
        let options = read(&[("time", 5.0)]).expect("valid");
        assert_eq!(options, Thing { count: 3, time_ms: 5, most_ms: None, share: 0.5 });
        assert_eq!(
            read(&[]).expect_err("time is missing").to_string(),
            "Thing time is undefined; accepted: a value for it; required: time"
        );
    }

    #[test]
    fn checks_each_range_and_names_the_option() {
        let cases = [
            ("count", 11.0, "Thing count is 11; accepted: an integer from 1 to 10"),
            ("time", 0.0, "Thing time is 0; accepted: an integer from 1 to"),
            ("most", 0.0, "Thing most is 0; accepted: an integer from 1 to"),
            ("share", 0.0, "Thing share is 0; accepted: a number above 0 and up to 1"),
            ("share", f64::NAN, "Thing share is NaN; accepted: a number above 0 and up to 1"),
        ];
        for (name, number, message) in cases {
            let given = [(name, number), ("time", 5.0)];
            let error = read(&given).and_then(|options| options.check_ranges()).expect_err(message);
            assert!(error.to_string().starts_with(message), "{error}");
        }
        assert_eq!(
            read(&[("time", 1.0), ("share", 1.0), ("count", 10.0)]).expect("valid").check_ranges(),
            Ok(())
        );
    }

    #[test]
    fn prints_units_and_what_is_left_out() {
        let list = read(&[("time", 5.0)]).expect("valid").list();
        let printed: Vec<_> = list.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        assert_eq!(printed, ["count = 3", "time = 5 ms", "most = none", "share = 0.5"]);
        assert_eq!(Thing::FIELDS[0].default, Some("3"));
        assert!(Thing::FIELDS[1].is_required);
    }
}
