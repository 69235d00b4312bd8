//! Polls and takes in: one folder a service; agents' ingest; push protocols.
