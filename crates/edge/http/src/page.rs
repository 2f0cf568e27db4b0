//! Paging by cursor: an opaque text that holds the last item's sort key.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::Problem;

const LIMIT_DEFAULT: u32 = 100;
const LIMIT_MAX: u32 = 1000;
const CURSOR_BYTES_MAX: usize = 512;

/// `?limit=&cursor=`. Flatten can't refuse unknown names, so list queries repeat the two fields and build this.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageRequest {
    #[serde(default)]
    pub limit: Option<u32>,
    #[serde(default)]
    pub cursor: Option<String>,
}

impl PageRequest {
    /// How many items the page holds: 100 where it is not said, at most 1000.
    pub fn limit(&self) -> Result<usize, Problem> {
        match self.limit.unwrap_or(LIMIT_DEFAULT) {
            limit @ 1..=LIMIT_MAX => Ok(limit as usize),
            _ => Err(Problem::invalid("limit", format!("`limit` must lie between 1 and {LIMIT_MAX}."))),
        }
    }

    /// The key behind which the page begins.
    pub fn cursor<K: DeserializeOwned>(&self) -> Result<Option<K>, Problem> {
        self.cursor.as_deref().map(Cursor::read).transpose()
    }
}

/// Writes and reads cursors.
#[derive(Debug)]
pub struct Cursor;

impl Cursor {
    pub fn write<K: serde::Serialize>(key: &K) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(key).expect("a sort key is plain data"))
    }

    pub fn read<K: DeserializeOwned>(text: &str) -> Result<K, Problem> {
        let refuse = || Problem::invalid("cursor", "The cursor is not one that a list gave.");
        if text.len() > CURSOR_BYTES_MAX {
            return Err(refuse());
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| refuse())?;
        serde_json::from_slice(&bytes).map_err(|_| refuse())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back_and_nonsense_is_refused() {
        let key = (7u64, "name ✓".to_owned());
        assert_eq!(Cursor::read::<(u64, String)>(&Cursor::write(&key)).unwrap(), key);
        for text in ["", "!", "e30", &"A".repeat(1000)] {
            assert!(Cursor::read::<(u64, String)>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn limits_are_bounded() {
        let page = |limit| PageRequest { limit, cursor: None }.limit().ok();
        assert_eq!(page(None), Some(100));
        assert_eq!(page(Some(1)), Some(1));
        assert_eq!(page(Some(0)), None);
        assert_eq!(page(Some(1001)), None);
    }
}
