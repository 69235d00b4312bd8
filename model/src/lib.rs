//! The words of the house: values that every room understands.
//!
//! Nothing here reads a file, opens a socket, waits, or knows what time it is. The rooms of the
//! layer above meet only through these values and through the seams of [`seam`].
//!
//! ```
//! use noroshi_model::{Batch, Labels, Sample, Timestamp};
//!
//! let labels = Labels::new([("__name__", "node_load1"), ("instance", "web1"), ("job", "node")]);
//! assert_eq!(labels.get("instance"), Some("web1"));
//! assert_eq!(labels.to_string(), r#"node_load1{instance="web1",job="node"}"#);
//!
//! let mut batch = Batch::new();
//! batch.samples.push(Sample { labels, at: Timestamp::from_secs(1_700_000_000), value: 0.42 });
//! assert_eq!(batch.samples.len(), 1);
//! ```

pub mod chain;
pub mod check;
pub mod event;
pub mod frame;
pub mod graph;
pub mod hash;
pub mod host_label;
pub mod label;
pub mod quantity;
pub mod restart;
pub mod sample;
pub mod seam;
pub mod status;
pub mod time;

pub use chain::chain;
pub use check::{CheckId, CheckResult, Origin, Perfdata, Range, Unit};
pub use event::{
    Behind, ChangeKind, Event, EventBody, EventError, GraphHint, Lasting, StateChange, Subject,
};
pub use graph::{GraphLine, GraphTemplate, LineStyle};
pub use label::{LabelError, Labels, LabelsBuilder, Matcher, MatcherOp};
pub use quantity::{format_duration, format_value, parse_duration};
pub use restart::Restart;
pub use sample::{Batch, Kind, MetricMeta, Sample, UNKNOWN, Width, is_unknown};
pub use seam::{
    BoxFuture, Clock, RecordBatch, RecordError, Records, Refused, Select, SelectError, SeriesData,
    SeriesSource, Sink, Space,
};
pub use status::{StateType, Status};
pub use time::Timestamp;
