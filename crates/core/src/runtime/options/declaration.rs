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
///         /// Most targets tracked at once.
///         max_peers: u64 = "maxPeers", Accepts::up_to(1_000_000), default 10_000, fixed;
///     }
/// }
/// ```
///
/// An option with neither `required` nor `default` is an `Option`, or has the default of its type. A `fixed` option
/// cannot be reconfigured: `list_fixed` has it.
macro_rules! options {
    (
        $(#[$meta:meta])*
        $visibility:vis struct $Options:ident of $owner:literal {
            $(
                $(#[$doc:meta])*
                $field:ident: $type:ty = $name:literal, $accepts:expr
                    $(, required as $required:ident)? $(, default $default:expr)? $(, fixed $($unused:literal)?)?;
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
                    is_fixed: $crate::runtime::options::options!(@is_fixed [$(fixed $($unused)?)?]),
                },)*
            ];

            /// What is required, and everything else by default.
            #[must_use]
            #[allow(clippy::new_without_default, reason = "most options have a required one")]
            $visibility fn new($($($required: $type,)?)*) -> Self {
                Self {
                    $($field: $crate::runtime::options::options!(@initial [$($required)?] [$($default)?]),)*
                }
            }

            /// The options in `source`. What is left out has its default.
            ///
            /// # Errors
            ///
            /// A required option that is left out; a text that stands for no value.
            $visibility fn read(source: &dyn $crate::runtime::options::Source) -> $crate::Result<Self> {
                $($(
                    let $required = <$type as $crate::runtime::options::OptionValue>::read(source, $name)
                        .ok_or_else(|| $crate::runtime::options::missing($owner, $name, Self::FIELDS))?;
                )?)*
                let mut options = Self::new($($($required,)?)*);
                options.update(source)?;
                Ok(options)
            }

            /// Takes the options in `source`. What is left out stays as it is.
            ///
            /// # Errors
            ///
            /// A text that stands for no value.
            $visibility fn update(
                &mut self,
                source: &dyn $crate::runtime::options::Source,
            ) -> $crate::Result<()> {
                use $crate::runtime::options::OptionValue;
                $(
                    self.$field.update(source, $name).map_err(|error| error.of_owner($owner))?;
                )*
                Ok(())
            }

            /// Whether each option is in its range.
            #[allow(dead_code, reason = "options within options have an owner of their own")]
            pub(crate) fn check_ranges(&self) -> $crate::Result<()> {
                self.check_ranges_of($owner)
            }

            /// As [`check_ranges`](Self::check_ranges), where errors name another owner.
            pub(crate) fn check_ranges_of(&self, owner: &str) -> $crate::Result<()> {
                use $crate::runtime::options::OptionValue;
                $(self.$field.check($name, &$accepts).map_err(|error| error.of_owner(owner))?;)*
                Ok(())
            }

            /// The options as the user would read them.
            #[allow(dead_code, reason = "a component may print its options in another form")]
            pub(crate) fn list(&self) -> $crate::runtime::OptionList {
                use $crate::runtime::options::OptionValue;
                vec![$(($name, self.$field.print(&$accepts)),)*]
            }

            /// Those of [`list`](Self::list) that are fixed at creation.
            #[allow(dead_code, reason = "a component may have none, or print its options in another form")]
            pub(crate) fn list_fixed(&self) -> $crate::runtime::OptionList {
                let fields = Self::FIELDS.iter();
                fields.zip(self.list()).filter(|(field, _)| field.is_fixed).map(|(_, option)| option).collect()
            }
        }
    };
    (@literal [$default:expr]) => { Some(stringify!($default)) };
    (@literal []) => { None };
    (@is_required [$required:ident]) => { true };
    (@is_required []) => { false };
    (@is_fixed [fixed]) => { true };
    (@is_fixed []) => { false };
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
            count: u64 = "count", Accepts::up_to(10), default 3, fixed;
            /// For so long.
            time_ms: u64 = "time", Accepts::duration(), required as time_ms;
            /// Or so long.
            most_ms: Option<u64> = "most", Accepts::duration(), fixed;
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
    fn lists_the_fixed_options_in_their_order() {
        let fixed = read(&[("time", 5.0)]).expect("valid").list_fixed();
        assert_eq!(fixed, [("count", "3".to_owned()), ("most", "none".to_owned())]);
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
