//! plot
use crate::Result;
use crate::contender::Contender;
use crate::results::Results;
use std::path::Path;
pub fn write(_path: &Path, _chosen: &[&Contender], _results: &Results) -> Result<()> {
    Ok(())
}
