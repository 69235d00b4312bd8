//! A second evaluator, as plain as can be: one moment after the other, every sample looked at
//! each time, maps in the place of columns. It knows the core of the language.

use std::collections::BTreeMap;

use noroshi_expr::{
    Aggregate, AggregateOp, At, Binary, BinaryOp, Call, Expr, Group, Matching, RangeSelector,
    Selector, Subquery, Type, When,
};
use noroshi_model::label::NAME;
use noroshi_model::{Labels, is_unknown};

/// Series and their samples: moments in milliseconds, values.
pub(crate) type Data = BTreeMap<Labels, Vec<(i64, f64)>>;

/// What an expression is at one moment.
#[derive(Clone, Debug)]
pub(crate) enum Naive {
    Scalar(f64),
    Vector(BTreeMap<Labels, f64>),
}

/// An evaluation of a query over the data; `None` stands for any error.
pub(crate) struct Evaluator<'a> {
    pub(crate) data: &'a Data,
    pub(crate) start: i64,
    pub(crate) end: i64,
}

type Vector = BTreeMap<Labels, f64>;

impl Evaluator<'_> {
    pub(crate) fn eval(&self, expr: &Expr, at: i64) -> Option<Naive> {
        Some(match expr {
            Expr::Number(number) => Naive::Scalar(*number),
            Expr::Paren(inner) => self.eval(inner, at)?,
            Expr::Selector(selector) => Naive::Vector(self.instant(selector, at)),
            Expr::Unary { is_minus, expr } => match self.eval(expr, at)? {
                Naive::Scalar(value) => Naive::Scalar(if *is_minus { -value } else { value }),
                vector if !is_minus => vector,
                Naive::Vector(vector) => Naive::Vector(renamed(vector, |value| -value)?),
            },
            Expr::Binary(binary) => self.binary(binary, at)?,
            Expr::Aggregate(aggregate) => Naive::Vector(self.aggregate(aggregate, at)?),
            Expr::Call(call) => self.call(call, at)?,
            Expr::Text(_) | Expr::Range(_) | Expr::Subquery(_) => panic!("not generated: {expr}"),
        })
    }

    fn vector(&self, expr: &Expr, at: i64) -> Option<Vector> {
        match self.eval(expr, at)? {
            Naive::Vector(vector) => Some(vector),
            Naive::Scalar(_) => panic!("{expr} is a scalar"),
        }
    }

    fn scalar(&self, expr: &Expr, at: i64) -> Option<f64> {
        match self.eval(expr, at)? {
            Naive::Scalar(value) => Some(value),
            Naive::Vector(_) => panic!("{expr} is a vector"),
        }
    }

    fn moment(&self, when: When, at: i64) -> i64 {
        let base = match when.at {
            None => at,
            Some(At::Millis(fixed)) => fixed,
            Some(At::Start) => self.start,
            Some(At::End) => self.end,
        };
        base - when.offset
    }

    fn matching(&self, selector: &Selector) -> impl Iterator<Item = (&Labels, &Vec<(i64, f64)>)> {
        let matchers = selector.matchers.clone();
        self.data.iter().filter(move |(l, _)| matchers.iter().all(|m| m.matches_labels(l)))
    }

    fn instant(&self, selector: &Selector, at: i64) -> Vector {
        let at = self.moment(selector.when, at);
        let mut vector = Vector::new();
        for (labels, samples) in self.matching(selector) {
            let newest = samples.iter().rfind(|s| s.0 <= at && s.0 > at - 300_000);
            if let Some((_, value)) = newest.filter(|s| !is_unknown(s.1)) {
                vector.insert(labels.clone(), *value);
            }
        }
        vector
    }

    /// Returns the samples of each series in the window and the window's borders.
    #[allow(clippy::type_complexity)]
    fn range(&self, expr: &Expr, at: i64) -> Option<(Vec<(Labels, Vec<(i64, f64)>)>, i64, i64)> {
        match expr {
            Expr::Range(RangeSelector { selector, range }) => {
                let until = self.moment(selector.when, at);
                let inside = |s: &&(i64, f64)| s.0 > until - range && s.0 <= until;
                let known = |s: &&(i64, f64)| inside(s) && !is_unknown(s.1);
                let series = self.matching(selector).map(|(labels, samples)| {
                    (labels.clone(), samples.iter().filter(known).copied().collect())
                });
                Some((series.collect(), until - range, until))
            }
            Expr::Subquery(Subquery { expr, range, step, when }) => {
                let until = self.moment(*when, at);
                let step = step.unwrap_or(60_000);
                let mut series: BTreeMap<Labels, Vec<(i64, f64)>> = BTreeMap::new();
                for moment in (until - range + 1)..=until {
                    if moment % step == 0 {
                        for (labels, value) in self.vector(expr, moment)? {
                            series.entry(labels).or_default().push((moment, value));
                        }
                    }
                }
                Some((series.into_iter().collect(), until - range, until))
            }
            Expr::Paren(inner) => self.range(inner, at),
            _ => panic!("{expr} is no range"),
        }
    }

    fn call(&self, call: &Call, at: i64) -> Option<Naive> {
        let arguments = &call.arguments;
        let name = call.function.name;
        if let Some(range) = arguments.iter().find(|a| a.value_type() == Type::Range) {
            let scalar = arguments.iter().find(|a| a.value_type() == Type::Scalar);
            let parameter = match scalar {
                Some(scalar) => self.scalar(scalar, at)?,
                None => 0.0,
            };
            let (series, after, until) = self.range(range, at)?;
            let mut vector = Vector::new();
            for (labels, samples) in series {
                let value = over_window(name, &samples, (after, until), (parameter, at));
                if let Some(value) = value {
                    let labels =
                        if name == "last_over_time" { labels } else { without_name(&labels) };
                    if vector.insert(labels, value).is_some() {
                        return None;
                    }
                }
            }
            return Some(Naive::Vector(vector));
        }
        Some(match name {
            "time" => Naive::Scalar(at as f64 / 1000.0),
            "vector" => {
                let value = self.scalar(&arguments[0], at)?;
                Naive::Vector([(Labels::empty(), value)].into())
            }
            "scalar" => {
                let vector = self.vector(&arguments[0], at)?;
                let only = if vector.len() == 1 { vector.values().next() } else { None };
                Naive::Scalar(only.copied().unwrap_or(f64::NAN))
            }
            "absent" => {
                let vector = self.vector(&arguments[0], at)?;
                let one = Vector::from([(Labels::empty(), 1.0)]);
                Naive::Vector(if vector.is_empty() { one } else { Vector::new() })
            }
            "abs" => Naive::Vector(renamed(self.vector(&arguments[0], at)?, f64::abs)?),
            "clamp_min" => {
                let least = self.scalar(&arguments[1], at)?;
                let clamp =
                    |v: f64| if v.is_nan() || least.is_nan() { f64::NAN } else { v.max(least) };
                Naive::Vector(renamed(self.vector(&arguments[0], at)?, clamp)?)
            }
            _ => panic!("not generated: {name}"),
        })
    }

    fn aggregate(&self, aggregate: &Aggregate, at: i64) -> Option<Vector> {
        let parameter = match &aggregate.parameter {
            Some(parameter) => self.scalar(parameter, at)?,
            None => 0.0,
        };
        let mut groups: BTreeMap<Labels, Vec<(Labels, f64)>> = BTreeMap::new();
        for (labels, value) in self.vector(&aggregate.expr, at)? {
            let is_named = |name: &str| aggregate.labels.iter().any(|l| l == name);
            let kept = labels.iter().filter(|(name, _)| {
                if aggregate.is_without { *name != NAME && !is_named(name) } else { is_named(name) }
            });
            groups.entry(Labels::new(kept)).or_default().push((labels.clone(), value));
        }
        let mut vector = Vector::new();
        for (key, mut members) in groups {
            let values: Vec<f64> = members.iter().map(|(_, value)| *value).collect();
            let is_top = aggregate.op == AggregateOp::Topk;
            if is_top || aggregate.op == AggregateOp::Bottomk {
                members.sort_by(|a, b| {
                    let order = if is_top { b.1.partial_cmp(&a.1) } else { a.1.partial_cmp(&b.1) };
                    a.1.is_nan().cmp(&b.1.is_nan()).then(order.unwrap_or(std::cmp::Ordering::Equal))
                });
                vector.extend(members.into_iter().take(parameter as usize));
                continue;
            }
            vector.insert(key, aggregated(aggregate.op, &values, parameter));
        }
        Some(vector)
    }

    fn binary(&self, binary: &Binary, at: i64) -> Option<Naive> {
        let left = self.eval(&binary.left, at)?;
        let right = self.eval(&binary.right, at)?;
        let op = binary.op;
        let compute = |l: f64, r: f64| computed(op, binary.is_bool, l, r);
        let drops_name = !op.is_comparison() || binary.is_bool;
        let named =
            |labels: &Labels| if drops_name { without_name(labels) } else { labels.clone() };
        let mut vector = Vector::new();
        match (left, right) {
            (Naive::Scalar(left), Naive::Scalar(right)) => {
                return Some(Naive::Scalar(compute(left, right).unwrap_or(f64::NAN)));
            }
            (Naive::Vector(left), Naive::Scalar(scalar)) => {
                for (labels, value) in left {
                    if let Some(value) = compute(value, scalar)
                        && vector.insert(named(&labels), value).is_some()
                    {
                        return None;
                    }
                }
            }
            (Naive::Scalar(scalar), Naive::Vector(right)) => {
                for (labels, value) in right {
                    let computed = compute(scalar, value);
                    let shown = if drops_name { computed } else { computed.map(|_| value) };
                    if let Some(shown) = shown
                        && vector.insert(named(&labels), shown).is_some()
                    {
                        return None;
                    }
                }
            }
            (Naive::Vector(left), Naive::Vector(right)) if op.is_set() => {
                vector = combined(op, &binary.matching, left, right)?;
            }
            (Naive::Vector(left), Naive::Vector(right)) => {
                vector = matched(binary, &left, &right)?;
            }
        }
        Some(Naive::Vector(vector))
    }
}

fn without_name(labels: &Labels) -> Labels {
    Labels::new(labels.iter().filter(|(name, _)| *name != NAME))
}

fn renamed(vector: Vector, map: impl Fn(f64) -> f64) -> Option<Vector> {
    let mut out = Vector::new();
    for (labels, value) in vector {
        if out.insert(without_name(&labels), map(value)).is_some() {
            return None;
        }
    }
    Some(out)
}

fn computed(op: BinaryOp, is_bool: bool, l: f64, r: f64) -> Option<f64> {
    match op {
        BinaryOp::Add => Some(l + r),
        BinaryOp::Sub => Some(l - r),
        BinaryOp::Mul => Some(l * r),
        BinaryOp::Div => Some(l / r),
        BinaryOp::Mod => Some(l % r),
        BinaryOp::Pow => Some(l.powf(r)),
        BinaryOp::Atan2 => Some(l.atan2(r)),
        _ if is_bool => Some(f64::from(op.holds(l, r))),
        _ => op.holds(l, r).then_some(l),
    }
}

fn key(labels: &Labels, matching: &Matching) -> Labels {
    let is_named = |name: &str| matching.labels.iter().any(|l| l == name);
    Labels::new(labels.iter().filter(|(name, _)| {
        if matching.is_on { is_named(name) } else { *name != NAME && !is_named(name) }
    }))
}

fn combined(op: BinaryOp, matching: &Matching, left: Vector, right: Vector) -> Option<Vector> {
    let has = |side: &Vector, labels: &Labels| {
        side.keys().any(|other| key(other, matching) == key(labels, matching))
    };
    let mut out = Vector::new();
    if op == BinaryOp::Or {
        out.extend(left.clone());
        for (labels, value) in right {
            if !has(&left, &labels) && out.insert(labels, value).is_some() {
                return None;
            }
        }
        return Some(out);
    }
    let is_and = op == BinaryOp::And;
    out.extend(left.into_iter().filter(|(labels, _)| has(&right, labels) == is_and));
    Some(out)
}

fn matched(binary: &Binary, left: &Vector, right: &Vector) -> Option<Vector> {
    let matching = &binary.matching;
    let mut out = Vector::new();
    if left.is_empty() || right.is_empty() {
        return Some(out);
    }
    let is_swapped = matches!(matching.group, Group::Right(_));
    let (many, one) = if is_swapped { (right, left) } else { (left, right) };
    let mut partners: BTreeMap<Labels, (&Labels, f64)> = BTreeMap::new();
    for (labels, value) in one {
        if partners.insert(key(labels, matching), (labels, *value)).is_some() {
            return None;
        }
    }
    let mut used = Vec::new();
    for (labels, value) in many {
        let key = key(labels, matching);
        let Some((partner, other)) = partners.get(&key) else { continue };
        let (l, r) = if is_swapped { (*other, *value) } else { (*value, *other) };
        let Some(result) = computed(binary.op, binary.is_bool, l, r) else { continue };
        let mut builder = labels.to_builder();
        if !binary.op.is_comparison() || binary.is_bool {
            builder.remove(NAME);
        }
        match &matching.group {
            Group::None if used.contains(&key) => return None,
            Group::None => {
                let is_named = |name: &str| matching.labels.iter().any(|l| l == name);
                builder.retain(|name| is_named(name) == matching.is_on);
            }
            Group::Left(include) | Group::Right(include) => {
                for name in include {
                    builder.set(name, partner.get(name).unwrap_or(""));
                }
            }
        }
        used.push(key);
        if out.insert(builder.build(), result).is_some() {
            return None;
        }
    }
    Some(out)
}

fn quantile(q: f64, values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| {
        b.is_nan().cmp(&a.is_nan()).then(a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal))
    });
    let rank = q * (sorted.len() - 1) as f64;
    let (low, high) = (rank.floor() as usize, rank.ceil() as usize);
    let weight = rank - rank.floor();
    sorted[low] * (1.0 - weight) + sorted[high] * weight
}

fn variance(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / values.len() as f64
}

fn aggregated(op: AggregateOp, values: &[f64], parameter: f64) -> f64 {
    let count = values.len() as f64;
    match op {
        AggregateOp::Sum => values.iter().sum(),
        AggregateOp::Avg => values.iter().sum::<f64>() / count,
        AggregateOp::Min => values.iter().copied().fold(f64::NAN, f64::min),
        AggregateOp::Max => values.iter().copied().fold(f64::NAN, f64::max),
        AggregateOp::Count => count,
        AggregateOp::Group => 1.0,
        AggregateOp::Stddev => variance(values).sqrt(),
        AggregateOp::Stdvar => variance(values),
        AggregateOp::Quantile => quantile(parameter, values),
        other => panic!("not generated: {other:?}"),
    }
}

fn over_window(
    name: &str,
    samples: &[(i64, f64)],
    (after, until): (i64, i64),
    (parameter, at): (f64, i64),
) -> Option<f64> {
    let values: Vec<f64> = samples.iter().map(|s| s.1).collect();
    let (first, last) = (*samples.first()?, *samples.last()?);
    let pairs = || values.windows(2).map(|pair| (pair[0], pair[1]));
    let simple = match name {
        "avg_over_time" => values.iter().sum::<f64>() / values.len() as f64,
        "sum_over_time" => values.iter().sum(),
        "min_over_time" => values.iter().copied().fold(f64::NAN, f64::min),
        "max_over_time" => values.iter().copied().fold(f64::NAN, f64::max),
        "count_over_time" => values.len() as f64,
        "last_over_time" => last.1,
        "present_over_time" => 1.0,
        "stddev_over_time" => variance(&values).sqrt(),
        "quantile_over_time" => quantile(parameter, &values),
        "resets" => pairs().filter(|(a, b)| b < a).count() as f64,
        "changes" => pairs().filter(|(a, b)| a != b && !(a.is_nan() && b.is_nan())).count() as f64,
        _ => f64::INFINITY,
    };
    if simple != f64::INFINITY || name.ends_with("_over_time") {
        return Some(simple);
    }
    if samples.len() < 2 {
        return None;
    }
    let before = samples[samples.len() - 2];
    let interval = (last.0 - before.0) as f64 / 1000.0;
    Some(match name {
        "idelta" => last.1 - before.1,
        "irate" if last.1 < before.1 => last.1 / interval,
        "irate" => (last.1 - before.1) / interval,
        "deriv" => line(samples, first.0).0,
        "predict_linear" => {
            let (slope, now) = line(samples, at);
            now + slope * parameter
        }
        "delta" => extrapolated(samples, last.1 - first.1, (after, until), false),
        "increase" | "rate" => {
            let lost: f64 = pairs().filter(|(a, b)| b < a).map(|(a, _)| a).sum();
            let increase = extrapolated(samples, last.1 - first.1 + lost, (after, until), true);
            if name == "rate" { increase / ((until - after) as f64 / 1000.0) } else { increase }
        }
        _ => panic!("not generated: {name}"),
    })
}

fn extrapolated(
    samples: &[(i64, f64)],
    difference: f64,
    (after, until): (i64, i64),
    is_counter: bool,
) -> f64 {
    let (first, last) = (samples[0], samples[samples.len() - 1]);
    let sampled = (last.0 - first.0) as f64;
    let interval = sampled / (samples.len() - 1) as f64;
    let limit = |gap: f64| if gap >= 1.1 * interval { interval / 2.0 } else { gap };
    let mut to_start = limit((first.0 - after) as f64);
    if is_counter && difference > 0.0 && first.1 >= 0.0 {
        to_start = to_start.min(sampled * first.1 / difference);
    }
    difference * (sampled + to_start + limit((until - last.0) as f64)) / sampled
}

/// Returns slope per second and value at `origin` by the textbook's formula with means.
fn line(samples: &[(i64, f64)], origin: i64) -> (f64, f64) {
    if samples.iter().all(|s| s.1 == samples[0].1) {
        let value = samples[0].1;
        return if value.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, value) };
    }
    let n = samples.len() as f64;
    let x = |s: &(i64, f64)| (s.0 - origin) as f64 / 1000.0;
    let sum = |of: &dyn Fn(&(i64, f64)) -> f64| samples.iter().map(of).sum::<f64>();
    if samples.iter().any(|s| s.1.is_infinite()) {
        // What an infinity gives depends on the formula: Prometheus' is that with sums.
        let (sum_x, sum_y) = (sum(&x), sum(&|s| s.1));
        let covariance = sum(&|s| x(s) * s.1) - sum_x * sum_y / n;
        let slope = covariance / (sum(&|s| x(s) * x(s)) - sum_x * sum_x / n);
        return (slope, sum_y / n - slope * sum_x / n);
    }
    let (mean_x, mean_y) =
        (samples.iter().map(x).sum::<f64>() / n, samples.iter().map(|s| s.1).sum::<f64>() / n);
    let covariance: f64 = samples.iter().map(|s| (x(s) - mean_x) * (s.1 - mean_y)).sum();
    let spread: f64 = samples.iter().map(|s| (x(s) - mean_x).powi(2)).sum();
    let slope = covariance / spread;
    (slope, mean_y - slope * mean_x)
}
