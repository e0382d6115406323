//! Reading a listing to its end, page by page.

use crate::Result;

/// How many entries an iterator asks for at once.
const ENTRIES_PER_PAGE: u32 = 200;

type Fetch<T> = fn(&str, Option<&str>, u32) -> Result<(Vec<T>, Option<String>)>;

/// Everything that a listing holds, in order; fetches the next page when it is needed.
///
/// After an error it ends.
pub struct Pages<T> {
    fetch: Fetch<T>,
    prefix: String,
    page: std::vec::IntoIter<T>,
    next: Next,
}

enum Next {
    First,
    After(String),
    Done,
}

impl<T> Pages<T> {
    pub(crate) fn new(prefix: &str, fetch: Fetch<T>) -> Self {
        Self {
            fetch,
            prefix: prefix.to_owned(),
            page: Vec::new().into_iter(),
            next: Next::First,
        }
    }
}

impl<T> Iterator for Pages<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.page.next() {
                return Some(Ok(entry));
            }
            let cursor = match std::mem::replace(&mut self.next, Next::Done) {
                Next::First => None,
                Next::After(cursor) => Some(cursor),
                Next::Done => return None,
            };
            match (self.fetch)(&self.prefix, cursor.as_deref(), ENTRIES_PER_PAGE) {
                Ok((entries, cursor)) => {
                    self.page = entries.into_iter();
                    self.next = cursor.map_or(Next::Done, Next::After);
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
