//! The messages, field by field as their `.proto` files number them; what is not read is left out.

/// `prometheus.WriteRequest` (Remote-Write 1.0).
pub(super) mod v1 {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(in super::super) struct WriteRequest {
        #[prost(message, repeated, tag = "1")]
        pub(in super::super) timeseries: Vec<TimeSeries>,
        #[prost(message, repeated, tag = "3")]
        pub(in super::super) metadata: Vec<MetricMetadata>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(in super::super) struct TimeSeries {
        #[prost(message, repeated, tag = "1")]
        pub(in super::super) labels: Vec<Label>,
        #[prost(message, repeated, tag = "2")]
        pub(in super::super) samples: Vec<Sample>,
        #[prost(message, repeated, tag = "3")]
        pub(in super::super) exemplars: Vec<Unread>,
        #[prost(message, repeated, tag = "4")]
        pub(in super::super) histograms: Vec<Unread>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(in super::super) struct Label {
        #[prost(string, tag = "1")]
        pub(in super::super) name: String,
        #[prost(string, tag = "2")]
        pub(in super::super) value: String,
    }

    #[derive(Clone, Copy, PartialEq, prost::Message)]
    pub(in super::super) struct Sample {
        #[prost(double, tag = "1")]
        pub(in super::super) value: f64,
        #[prost(int64, tag = "2")]
        pub(in super::super) timestamp: i64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(in super::super) struct MetricMetadata {
        #[prost(int32, tag = "1")]
        pub(in super::super) r#type: i32,
        #[prost(string, tag = "2")]
        pub(in super::super) metric_family_name: String,
        #[prost(string, tag = "4")]
        pub(in super::super) help: String,
        #[prost(string, tag = "5")]
        pub(in super::super) unit: String,
    }

    /// A message that is only counted.
    #[derive(Clone, Copy, PartialEq, prost::Message)]
    pub(in super::super) struct Unread {}
}

/// `io.prometheus.write.v2.Request` (Remote-Write 2.0).
pub(super) mod v2 {
    use super::v1::{Sample, Unread};

    #[derive(Clone, PartialEq, prost::Message)]
    pub(in super::super) struct Request {
        #[prost(string, repeated, tag = "4")]
        pub(in super::super) symbols: Vec<String>,
        #[prost(message, repeated, tag = "5")]
        pub(in super::super) timeseries: Vec<TimeSeries>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(in super::super) struct TimeSeries {
        #[prost(uint32, repeated, tag = "1")]
        pub(in super::super) labels_refs: Vec<u32>,
        #[prost(message, repeated, tag = "2")]
        pub(in super::super) samples: Vec<Sample>,
        #[prost(message, repeated, tag = "3")]
        pub(in super::super) histograms: Vec<Unread>,
        #[prost(message, repeated, tag = "4")]
        pub(in super::super) exemplars: Vec<Unread>,
        #[prost(message, optional, tag = "5")]
        pub(in super::super) metadata: Option<Metadata>,
    }

    #[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
    pub(in super::super) struct Metadata {
        #[prost(int32, tag = "1")]
        pub(in super::super) r#type: i32,
        #[prost(uint32, tag = "3")]
        pub(in super::super) help_ref: u32,
        #[prost(uint32, tag = "4")]
        pub(in super::super) unit_ref: u32,
    }
}
