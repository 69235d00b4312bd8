//! Round-robin series and small durable records.
