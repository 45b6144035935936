mod data;
mod encoding;
mod files;
mod measures;
mod order;
mod search;
#[cfg(feature = "train")]
mod training;
