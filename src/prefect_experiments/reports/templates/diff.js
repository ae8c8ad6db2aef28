"use strict";
// Which words of two texts differ.

const MOST_CELLS = 16e6; // of the table below: 32 MB, a tenth of a second
// A word, a character of a script that writes no spaces between words, a run of spaces, or a sign.
const SPACELESS = "\\p{sc=Han}\\p{sc=Hiragana}\\p{sc=Katakana}\\p{sc=Thai}\\p{sc=Lao}\\p{sc=Khmer}\\p{sc=Myanmar}";
const TOKENS = new RegExp(`[${SPACELESS}]|(?:(?![${SPACELESS}])[\\p{L}\\p{M}\\p{N}_])+|\\s+|[^\\p{L}\\p{M}\\p{N}_\\s]`, "gu");

// Both texts as lists of {text, changed}. Together the parts are the text.
function diffWords(left, right) {
  const a = left.match(TOKENS) || [], b = right.match(TOKENS) || [];
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let endA = a.length, endB = b.length;
  while (endA > start && endB > start && a[endA - 1] === b[endB - 1]) { endA--; endB--; }
  const [keptA, keptB] = commonWords(a.slice(start, endA), b.slice(start, endB));
  const same = (i, from, end, kept) => i < from || i >= end || kept[i - from] === 1;
  return [
    joined(a, (i) => same(i, start, endA, keptA)),
    joined(b, (i) => same(i, start, endB, keptB)),
  ];
}

// For each word of both lists, whether it is part of their longest common subsequence.
function commonWords(a, b) {
  const keptA = new Uint8Array(a.length), keptB = new Uint8Array(b.length);
  const width = b.length + 1;
  if (!a.length || !b.length || (a.length + 1) * width > MOST_CELLS) return [keptA, keptB];
  const longest = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      const here = i * width + j;
      longest[here] = a[i] === b[j] ? longest[here + width + 1] + 1 : Math.max(longest[here + width], longest[here + 1]);
    }
  }
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    if (a[i] === b[j]) { keptA[i++] = 1; keptB[j++] = 1; }
    else if (longest[(i + 1) * width + j] >= longest[i * width + j + 1]) i++;
    else j++;
  }
  return [keptA, keptB];
}

// Neighbours of one kind become one part; a space between two changed words is changed with them.
function joined(tokens, isSame) {
  const changed = tokens.map((_, i) => !isSame(i));
  for (let i = 1; i < tokens.length - 1; i++) {
    if (!changed[i] && !tokens[i].trim() && changed[i - 1] && changed[i + 1]) changed[i] = true;
  }
  const parts = [];
  tokens.forEach((token, i) => {
    const last = parts[parts.length - 1];
    if (last && last.changed === changed[i]) last.text += token;
    else parts.push({ text: token, changed: changed[i] });
  });
  return parts;
}
