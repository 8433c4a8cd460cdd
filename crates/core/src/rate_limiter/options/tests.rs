use super::*;

/// Options as the other side gives them.
#[derive(Clone, Default)]
struct Given {
    numbers: Vec<(&'static str, f64)>,
    texts: Vec<(&'static str, &'static str)>,
    limits: Option<Vec<Self>>,
}

impl Given {
    fn limit(numbers: &[(&'static str, f64)], texts: &[(&'static str, &'static str)]) -> Self {
        Self { numbers: numbers.to_vec(), texts: texts.to_vec(), limits: None }
    }

    fn limits(limits: &[Self]) -> Self {
        Self { limits: Some(limits.to_vec()), ..Self::default() }
    }
}

impl Source for Given {
    fn number(&self, name: &str) -> Option<f64> {
        self.numbers.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
    }
    fn boolean(&self, _: &str) -> Option<bool> {
        None
    }
    fn text(&self, name: &str) -> Option<String> {
        self.texts.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned())
    }
    fn texts(&self, _: &str) -> Option<Vec<String>> {
        None
    }
    fn nested(&self, _: &str) -> Option<Box<dyn Source + '_>> {
        None
    }
    fn list(&self, name: &str) -> Option<Vec<Box<dyn Source + '_>>> {
        let limits = self.limits.as_ref().filter(|_| name == "limits")?;
        Some(limits.iter().map(|limit| Box::new(limit.clone()) as Box<dyn Source>).collect())
    }
}

const TEN_PER_SECOND: [(&str, f64); 2] = [("limit", 10.0), ("window", 1_000.0)];

#[test]
fn options_that_are_left_out_have_their_defaults() {
    let options = RateLimiterOptions::read(&Given::limits(&[Given::limit(&TEN_PER_SECOND, &[])]));
    assert_eq!(options, Ok(RateLimiterOptions::single(10, 1_000)));
}

#[test]
fn options_that_are_left_out_of_a_reconfiguration_stay_in_force() {
    let mut in_force = RateLimiterOptions::by(AlgorithmKind::FixedWindow, 10, 1_000);
    in_force.overflow = Overflow::Deny;
    in_force.limits[0].quota.burst = Some(3);
    let options = in_force.with(&Given::limit(&[("limit", 20.0)], &[])).expect("valid");
    in_force.limits[0].quota.limit = 20;
    assert_eq!(options, in_force);
}

#[test]
fn a_text_that_stands_for_nothing_is_an_error() {
    let unknown = Given::limit(&TEN_PER_SECOND, &[("algorithm", "leaky"), ("overflow", "drop")]);
    let in_force = RateLimiterOptions::single(10, 1_000);
    let error = in_force.with(&unknown).expect_err("no such overflow");
    assert_eq!(error.to_string(), r#"RateLimiter overflow is "drop"; accepted: "evict", "deny", "allow""#);
    let limits = Given::limits(&[Given { texts: vec![("algorithm", "leaky")], ..unknown }]);
    let error = in_force.with(&limits).expect_err("no such algorithm");
    assert!(
        error.to_string().contains(r#"algorithm is "leaky"; accepted: "gcra", "fixed-window""#),
        "{error}"
    );
    assert!(RateLimiterOptions::read(&limits).is_err());
}

#[test]
fn several_limits_are_reconfigured_as_limits_only() {
    let limit = LimitOptions::new(Quota::new(10, 1_000));
    let several =
        RateLimiterOptions::new(vec![limit.clone(), LimitOptions { name: "other".into(), ..limit }]);
    let error = several.with(&Given::limit(&[("window", 1_000.0)], &[])).expect_err("of which limit?");
    let accepted = "nothing: this limiter has several limits, which change by limits";
    assert_eq!(error.to_string(), format!("reconfigure window is 1000; accepted: {accepted}"));
}
