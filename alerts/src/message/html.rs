//! A message as HTML for mail clients: tables, styles in the tags, nothing fetched from anywhere.
//!
//! Colours are chosen so that a client that inverts them keeps the contrast; clients that know
//! `prefers-color-scheme` get dark ones. Everything that comes from outside is escaped.

use std::fmt::Write;

use noroshi_model::Status;

use crate::message::sheet::Sheet;
use crate::picture::WIDTH;

/// Content id of the graph.
pub(crate) const GRAPH_CID: &str = "graph@noroshi";

const FONT: &str = "font-family:-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif";
const MONO: &str = "font-family:ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace";

const STYLE: &str = "\
body{margin:0}\
@media (prefers-color-scheme:dark){\
.page{background:#14171c!important}\
.card{background:#1f242b!important;border-color:#39414c!important}\
.ink{color:#e6e9ee!important}\
.dim{color:#a3adba!important}\
.box{background:#14171c!important;border-color:#39414c!important}\
.line{border-color:#39414c!important}\
a.more{color:#8ab8ff!important}}";

/// Writes the HTML; `picture`: the graph's title when there is a graph.
pub(crate) fn html(sheet: &Sheet, picture: Option<&str>) -> String {
    let colour = colour(sheet.status);
    let mut out = format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <meta name=\"supported-color-schemes\" content=\"light dark\">\
         <title>{headline}</title><style>{STYLE}</style></head>\
         <body class=\"page\" style=\"margin:0;background:#f2f4f7\">\
         <table role=\"presentation\" class=\"page\" width=\"100%\" cellpadding=\"0\" \
         cellspacing=\"0\" style=\"background:#f2f4f7\"><tr><td align=\"center\" \
         style=\"padding:16px 8px\">\
         <table role=\"presentation\" class=\"card\" width=\"640\" cellpadding=\"0\" \
         cellspacing=\"0\" style=\"width:100%;max-width:640px;background:#ffffff;border:1px solid \
         #d9dee5;border-radius:8px;overflow:hidden;border-collapse:separate\">\
         <tr><td style=\"background:{colour};padding:14px 20px;{FONT};color:#ffffff\">\
         <div style=\"font-size:13px;font-weight:700;letter-spacing:.06em\">{headline}</div>\
         <div style=\"font-size:20px;font-weight:600;word-break:break-word\">{title}</div>\
         </td></tr><tr><td style=\"padding:16px 20px;{FONT};font-size:15px;line-height:1.45\">",
        headline = escaped(&sheet.headline),
        title = escaped(&sheet.title),
    );
    output(&mut out, sheet);
    facts(&mut out, sheet);
    if let Some(title) = picture {
        write!(
            out,
            "<img src=\"cid:{GRAPH_CID}\" width=\"{WIDTH}\" alt=\"{}\" style=\"display:block;width:\
             100%;max-width:{WIDTH}px;height:auto;border:0;margin:14px 0;border-radius:4px\">",
            escaped(title)
        )
        .expect(WRITES);
    }
    todo(&mut out, sheet);
    others(&mut out, sheet);
    writeln!(
        out,
        "<div class=\"line dim\" style=\"margin-top:18px;padding-top:10px;border-top:1px solid \
         #d9dee5;font-size:12px;color:#5f6b7a\">{}</div></td></tr></table></td></tr></table>\
         </body></html>",
        escaped(&sheet.reasons)
    )
    .expect(WRITES);
    out
}

const WRITES: &str = "writing to a string does not fail";

fn output(out: &mut String, sheet: &Sheet) {
    if !sheet.output.is_empty() {
        write!(
            out,
            "<div class=\"ink\" style=\"color:#1b2430;font-size:16px;font-weight:600;\
             word-break:break-word\">{}</div>",
            escaped(&sheet.output)
        )
        .expect(WRITES);
    }
    if !sheet.long_output.is_empty() {
        write!(
            out,
            "<pre class=\"box ink\" style=\"margin:10px 0 0;padding:10px;background:#f2f4f7;border:\
             1px solid #d9dee5;border-radius:4px;color:#1b2430;{MONO};font-size:12px;white-space:\
             pre-wrap;word-break:break-word\">{}</pre>",
            escaped(&sheet.long_output.join("\n"))
        )
        .expect(WRITES);
    }
}

fn facts(out: &mut String, sheet: &Sheet) {
    if sheet.facts.is_empty() {
        return;
    }
    out.push_str(
        "<table role=\"presentation\" cellpadding=\"0\" cellspacing=\"0\" style=\"margin-top:12px\">",
    );
    for (label, text) in &sheet.facts {
        write!(
            out,
            "<tr><td class=\"dim\" valign=\"top\" style=\"padding:2px 16px 2px 0;color:#5f6b7a;\
             {FONT};font-size:14px;white-space:nowrap\">{label}</td><td class=\"ink\" \
             style=\"padding:2px 0;color:#1b2430;{FONT};font-size:14px;word-break:break-word\">{}\
             </td></tr>",
            escaped(text)
        )
        .expect(WRITES);
    }
    out.push_str("</table>");
}

fn todo(out: &mut String, sheet: &Sheet) {
    if !sheet.notes.is_empty() || !sheet.notes_url.is_empty() {
        title(out, "What to do");
        let notes: Vec<String> = sheet.notes.iter().map(|line| escaped(line)).collect();
        write!(
            out,
            "<div class=\"ink\" style=\"color:#1b2430;font-size:14px\">{}</div>",
            notes.join("<br>")
        )
        .expect(WRITES);
        if is_web(&sheet.notes_url) {
            let url = escaped(&sheet.notes_url);
            write!(
                out,
                "<a class=\"more\" href=\"{url}\" style=\"color:#1d5fbf;font-size:14px;word-break:\
                 break-all\">{url}</a>"
            )
            .expect(WRITES);
        } else {
            out.push_str(&escaped(&sheet.notes_url));
        }
    }
    if is_web(&sheet.link) {
        write!(
            out,
            "<table role=\"presentation\" cellpadding=\"0\" cellspacing=\"0\" \
             style=\"margin-top:16px\"><tr><td style=\"background:#1d5fbf;border-radius:4px\">\
             <a href=\"{}\" style=\"display:inline-block;padding:9px 16px;color:#ffffff;{FONT};\
             font-size:14px;font-weight:600;text-decoration:none\">Open in Noroshi</a></td></tr>\
             </table>",
            escaped(&sheet.link)
        )
        .expect(WRITES);
    }
}

fn others(out: &mut String, sheet: &Sheet) {
    if sheet.others.is_empty() {
        return;
    }
    title(out, &sheet.others_title);
    out.push_str("<table role=\"presentation\" cellpadding=\"0\" cellspacing=\"0\">");
    for (status, name, text) in &sheet.others {
        write!(
            out,
            "<tr><td valign=\"top\" style=\"padding:4px 10px 4px 0;{FONT};font-size:11px\"><span \
             style=\"display:inline-block;padding:1px 6px;border-radius:3px;background:{};color:\
             #ffffff;font-weight:700\">{}</span></td><td class=\"ink\" style=\"padding:3px 0;color:\
             #1b2430;{FONT};font-size:14px;word-break:break-word\"><b>{}</b> {}</td></tr>",
            colour(Some(*status)),
            status.as_str().to_uppercase(),
            escaped(name),
            escaped(text)
        )
        .expect(WRITES);
    }
    out.push_str("</table>");
}

fn title(out: &mut String, text: &str) {
    write!(
        out,
        "<div class=\"dim\" style=\"margin:16px 0 4px;color:#5f6b7a;font-size:12px;font-weight:700;\
         letter-spacing:.04em\">{}</div>",
        escaped(text)
    )
    .expect(WRITES);
}

/// Returns the colour of a status, with a contrast of at least 4.5 to white text.
fn colour(status: Option<Status>) -> &'static str {
    match status {
        None => "#44546a",
        Some(Status::Ok | Status::Up) => "#1e7a3e",
        Some(Status::Warning) => "#9a6200",
        Some(Status::Critical | Status::Down) => "#b3261e",
        Some(Status::Unknown | Status::Unreachable) => "#6b3fa0",
    }
}

/// Tells whether an address may become a link: a note could hold `javascript:`.
fn is_web(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

/// Escapes a text for content and for attributes in double quotes.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_outside_cannot_become_markup() {
        let sheet = Sheet {
            headline: "CRITICAL".to_owned(),
            title: "<b>web1</b>".to_owned(),
            output: "<script>alert('x')</script>".to_owned(),
            facts: vec![("Host", "a\" onload=\"x".to_owned())],
            notes_url: "javascript:alert(1)".to_owned(),
            link: "https://noroshi/hosts/a".to_owned(),
            ..Sheet::default()
        };
        let html = html(&sheet, Some("\"><script>"));
        assert!(!html.contains("<script") && !html.contains("<b>web1"), "{html}");
        assert!(!html.contains("onload=\"x"), "{html}");
        assert!(!html.contains("href=\"javascript"), "{html}");
    }

    #[test]
    fn nothing_is_fetched_from_anywhere() {
        let html = html(&Sheet::default(), Some("requests"));
        for remote in ["src=\"http", "url(", "@import", "<link"] {
            assert!(!html.contains(remote), "{remote}");
        }
    }
}
