//! A message as plain text. Enough by itself: it is what many phones show.

use crate::message::sheet::Sheet;

/// Writes the text.
pub(crate) fn text(sheet: &Sheet) -> String {
    let mut blocks = vec![vec![format!("{}: {}", sheet.headline, sheet.title)]];
    blocks[0].extend((!sheet.output.is_empty()).then(|| sheet.output.clone()));
    blocks.push(sheet.long_output.clone());
    let width = sheet.facts.iter().map(|(label, _)| label.len()).max().unwrap_or(0);
    let facts = sheet.facts.iter().map(|(label, text)| format!("{label:width$}  {text}"));
    blocks.push(facts.collect());
    let mut todo = sheet.notes.clone();
    todo.extend((!sheet.notes_url.is_empty()).then(|| sheet.notes_url.clone()));
    blocks.push(indented("What to do", todo));
    blocks.push(indented("In Noroshi", vec![sheet.link.clone()]));
    let others = sheet
        .others
        .iter()
        .map(|(status, title, text)| format!("{} {title}: {text}", status.as_str().to_uppercase()));
    blocks.push(indented(&sheet.others_title, others.collect()));
    blocks.push(vec![sheet.reasons.clone()]);
    let blocks: Vec<String> = blocks
        .into_iter()
        .filter(|lines| !lines.is_empty())
        .map(|lines| lines.join("\n"))
        .collect();
    blocks.join("\n\n") + "\n"
}

/// Returns a title with its lines below it; nothing when there are none.
fn indented(title: &str, lines: Vec<String>) -> Vec<String> {
    if lines.is_empty() {
        return lines;
    }
    let lines = lines.into_iter().map(|line| format!("  {line}"));
    std::iter::once(title.to_owned()).chain(lines).collect()
}
