//! The little XML that S3 speaks: written as a flat sequence of elements, read by element name.

use crate::sandbox::wire::Response;
use crate::sandbox::wire::encoding::xml_escape;

/// A document being written. Element names are the code's own; only text is escaped.
pub(super) struct Xml {
    out: String,
    root: &'static str,
}

impl Xml {
    /// Starts a document in S3's namespace.
    pub fn document(root: &'static str) -> Self {
        let out = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root} xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
        );
        Self { out, root }
    }

    /// Adds `<name>value</name>`.
    pub fn text(&mut self, name: &str, value: &str) -> &mut Self {
        self.out
            .push_str(&format!("<{name}>{}</{name}>", xml_escape(value)));
        self
    }

    /// Adds an element whose children `fill` writes.
    pub fn nested(&mut self, name: &str, fill: impl FnOnce(&mut Self)) -> &mut Self {
        self.out.push_str(&format!("<{name}>"));
        fill(self);
        self.out.push_str(&format!("</{name}>"));
        self
    }

    /// Ends the document and makes it an answer.
    pub fn respond(mut self) -> Response {
        self.out.push_str(&format!("</{}>", self.root));
        Response::with_body(200, "application/xml", self.out)
    }
}

/// Text of the first element called `name`, without children; enough for S3's small request bodies.
pub(super) fn text_of<'a>(document: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = document.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    (!text.contains('<')).then(|| text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_escaped_text_in_nested_elements() {
        let mut xml = Xml::document("R");
        xml.text("A", "<&>").nested("B", |b| {
            b.text("C", "1");
        });
        let body = String::from_utf8(xml.respond().body).unwrap();
        assert!(
            body.ends_with("<A>&lt;&amp;&gt;</A><B><C>1</C></B></R>"),
            "{body}"
        );
    }

    #[test]
    fn reads_one_element() {
        let body =
            "<Retention xmlns=\"x\"><Mode> COMPLIANCE </Mode><Broken><X/></Broken></Retention>";
        assert_eq!(text_of(body, "Mode"), Some("COMPLIANCE"));
        assert_eq!(text_of(body, "Broken"), None);
        assert_eq!(text_of("<Mode>", "Mode"), None);
    }
}
