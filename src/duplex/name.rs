//! Names of channels.

use std::fmt;

use crate::channel::{BufferName, Error, MAX_NAME, Result, objection};

const REQUEST: &str = "_request";
const RESPONSE: &str = "_response";

/// The longest channel name, in bytes.
pub const MAX_CHANNEL_NAME: usize = MAX_NAME - RESPONSE.len();

/// A valid channel name: like a [`BufferName`], but at most [`MAX_CHANNEL_NAME`] bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelName {
    name: String,
    request: BufferName,
    response: BufferName,
}

impl ChannelName {
    /// Checks a name.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidName`] with the reason.
    pub fn new(name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        if let Some(why) = objection(&name, MAX_CHANNEL_NAME) {
            return Err(Error::InvalidName { name, why });
        }
        let request = BufferName::new(format!("{name}{REQUEST}"))?;
        let response = BufferName::new(format!("{name}{RESPONSE}"))?;
        Ok(ChannelName {
            name,
            request,
            response,
        })
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// The buffer that the server reads.
    pub fn request(&self) -> &BufferName {
        &self.request
    }

    /// The buffer that the client reads.
    pub fn response(&self) -> &BufferName {
        &self.response
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_two_buffers() {
        let name = ChannelName::new("c").unwrap();
        assert_eq!(
            (name.request().as_str(), name.response().as_str()),
            ("c_request", "c_response")
        );
    }

    #[test]
    fn the_longest_name_is_such_that_both_buffers_fit() {
        assert_eq!(MAX_CHANNEL_NAME, 236);
        assert!(ChannelName::new("x".repeat(236)).is_ok());
        for name in ["x".repeat(237), String::new(), "a/b".into(), "..".into()] {
            assert!(matches!(
                ChannelName::new(name),
                Err(Error::InvalidName { .. })
            ));
        }
    }
}
