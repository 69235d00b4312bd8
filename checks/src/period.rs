//! Time periods: when a check runs, when a person may be woken.

/// A time period as configured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PeriodSpec {
    /// IANA name of the zone whose clock counts, such as `Europe/Berlin`; empty: UTC.
    pub zone: String,
    /// When it holds, in the words of Nagios: `monday 09:00-17:00`, `2026-12-24 00:00-24:00`,
    /// `day 1 - 15 / 5 00:00-24:00`, `thursday -1 november 00:00-24:00`.
    pub rules: Vec<String>,
    /// Names of periods during which it does not hold.
    pub exclude: Vec<String>,
}
