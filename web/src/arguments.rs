//! Parameters of queries, from the address and from a form, repeated ones included.
//!
//! Times and durations are read as Prometheus does (`web/api/v1/api.go`, `parseTime` and
//! `parseDuration`): seconds with a fraction, or RFC 3339 and `1h30m`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequest, Request};
use axum::http::Method;
use axum::{Form, extract::Query};
use noroshi_model::{Timestamp, quantity};

use crate::app::App;

/// The farthest moments that are understood: the years 1677 and 2262, as far as nanoseconds in 64
/// bits reach. Further ones are mistakes of a unit.
const SECONDS_MAX: f64 = 9_223_372_036.0;

/// All parameters of a request, in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arguments(Vec<(String, String)>);

/// A parameter that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ArgumentError {
    /// The address or the form is not encoded as it should.
    #[error("cannot read the parameters: {0}")]
    Unreadable(String),
    /// The form is too long.
    #[error("the form is too long: {0}")]
    TooLarge(String),
    /// It must be there.
    #[error("the parameter {0:?} is missing")]
    Missing(&'static str),
    /// It is there, and wrong.
    #[error("invalid parameter {name:?}: {reason}")]
    Invalid { name: String, reason: String },
}

impl ArgumentError {
    pub(crate) fn invalid(name: &str, reason: impl Into<String>) -> Self {
        Self::Invalid { name: name.to_owned(), reason: reason.into() }
    }
}

impl Arguments {
    /// Returns the first value of a parameter that is not empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let mut named = self.0.iter().filter(|(n, value)| n == name && !value.is_empty());
        named.next().map(|(_, value)| value.as_str())
    }

    /// Returns a parameter that must be there.
    pub(crate) fn needed(&self, name: &'static str) -> Result<&str, ArgumentError> {
        self.text(name).ok_or(ArgumentError::Missing(name))
    }

    /// Returns all values of a parameter.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Returns a moment; `None` when it is not given.
    pub(crate) fn time(&self, name: &str) -> Result<Option<Timestamp>, ArgumentError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let bad = || {
            let reason = format!("cannot parse {text:?} to a valid timestamp");
            ArgumentError::invalid(name, reason)
        };
        parse_time(text).map(Some).ok_or_else(bad)
    }

    /// Returns a moment that must be there.
    pub(crate) fn time_needed(&self, name: &'static str) -> Result<Timestamp, ArgumentError> {
        self.time(name)?
            .ok_or_else(|| ArgumentError::invalid(name, "cannot parse \"\" to a valid timestamp"))
    }

    /// Returns a duration of at least a millisecond; `None` when it is not given.
    pub(crate) fn duration(&self, name: &str) -> Result<Option<Duration>, ArgumentError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let seconds = match text.parse::<f64>() {
            Ok(seconds) => seconds,
            Err(_) => quantity::parse_duration(text)
                .map_err(|_| {
                    let reason = format!("cannot parse {text:?} to a valid duration");
                    ArgumentError::invalid(name, reason)
                })?
                .as_secs_f64(),
        };
        if seconds.is_nan() || seconds.abs() > SECONDS_MAX {
            let reason = format!("cannot parse {text:?} to a valid duration. It overflows int64");
            return Err(ArgumentError::invalid(name, reason));
        }
        let millis = (seconds * 1000.0).round();
        if millis < 1.0 {
            let reason = match name {
                "step" => {
                    "zero or negative query resolution step widths are not accepted. Try a \
                     positive integer"
                }
                _ => "it must be longer than zero",
            };
            return Err(ArgumentError::invalid(name, reason));
        }
        Ok(Some(Duration::from_millis(millis as u64)))
    }

    /// Returns a whole number; `None` when it is not given.
    pub(crate) fn integer(&self, name: &str) -> Result<Option<u64>, ArgumentError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let bad = |_| ArgumentError::invalid(name, format!("{text:?} is no whole number"));
        text.parse().map(Some).map_err(bad)
    }

    /// Returns all values of a parameter as finite numbers.
    pub(crate) fn numbers(&self, name: &str) -> Result<Vec<f64>, ArgumentError> {
        let read = |text: &str| {
            let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
            number.ok_or_else(|| ArgumentError::invalid(name, format!("{text:?} is no number")))
        };
        self.all(name).filter(|text| !text.is_empty()).map(read).collect()
    }
}

impl FromRequest<Arc<App>> for Arguments {
    type Rejection = ArgumentError;

    async fn from_request(request: Request, _: &Arc<App>) -> Result<Self, ArgumentError> {
        let in_address = Query::try_from_uri(request.uri());
        let Query(mut all): Query<Vec<(String, String)>> =
            in_address.map_err(|error| ArgumentError::Unreadable(error.body_text()))?;
        if request.method() == Method::POST {
            let form: Result<Form<Vec<(String, String)>>, _> =
                Form::from_request(request, &()).await;
            let Form(body) = form.map_err(|error| {
                let text = error.body_text();
                if error.status().as_u16() == 413 {
                    return ArgumentError::TooLarge(text);
                }
                ArgumentError::Unreadable(text)
            })?;
            // As in Go's `Request.Form`: the form's values come before the address's.
            all.splice(0..0, body);
        }
        Ok(Self(all))
    }
}

impl From<ArgumentError> for crate::error::ApiError {
    fn from(error: ArgumentError) -> Self {
        match &error {
            ArgumentError::TooLarge(_) => Self::TooLarge(error.to_string()),
            _ => Self::BadRequest(error.to_string()),
        }
    }
}

impl axum::response::IntoResponse for ArgumentError {
    fn into_response(self) -> axum::response::Response {
        crate::error::ApiError::from(self).into_response()
    }
}

fn parse_time(text: &str) -> Option<Timestamp> {
    if let Ok(seconds) = text.parse::<f64>() {
        return (seconds.abs() <= SECONDS_MAX).then(|| Timestamp::from_secs_f64(seconds));
    }
    let parsed: jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp::from_millis(parsed.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(pairs: &[(&str, &str)]) -> Arguments {
        Arguments(pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn times_are_seconds_or_rfc_3339() {
        let time = |text| arguments(&[("time", text)]).time("time");
        let at = |millis| Ok(Some(Timestamp::from_millis(millis)));
        assert_eq!(time("1435781430.781"), at(1_435_781_430_781));
        assert_eq!(time("-1"), at(-1000));
        assert_eq!(time("2015-07-01T20:10:30.781Z"), at(1_435_781_430_781));
        assert_eq!(time("2015-07-01T22:10:30.781+02:00"), at(1_435_781_430_781));
        assert_eq!(time(""), Ok(None));
        for bad in ["yesterday", "NaN", "inf", "1e20", "2015-07-01"] {
            let reason = format!("cannot parse {bad:?} to a valid timestamp");
            assert_eq!(time(bad), Err(ArgumentError::invalid("time", reason)));
        }
    }

    #[test]
    fn durations_are_seconds_or_have_units() {
        let step = |text| arguments(&[("step", text)]).duration("step");
        assert_eq!(step("15"), Ok(Some(Duration::from_secs(15))));
        assert_eq!(step("0.25"), Ok(Some(Duration::from_millis(250))));
        assert_eq!(step("1h30m"), Ok(Some(Duration::from_mins(90))));
        assert_eq!(step(""), Ok(None));
        for bad in ["0", "-5", "0s", "0.0001", "five", "NaN", "1e300"] {
            assert!(step(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn repeated_parameters_are_all_there() {
        let arguments = arguments(&[("expr", "up"), ("x", "1"), ("expr", "down"), ("n", "-2.5")]);
        assert_eq!(arguments.all("expr").collect::<Vec<_>>(), ["up", "down"]);
        assert_eq!(arguments.needed("expr"), Ok("up"));
        assert_eq!(arguments.needed("other"), Err(ArgumentError::Missing("other")));
        assert_eq!(arguments.numbers("n"), Ok(vec![-2.5]));
        assert!(arguments.integer("n").is_err());
        assert_eq!(arguments.integer("x"), Ok(Some(1)));
    }
}
