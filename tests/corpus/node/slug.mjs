// SPDX-License-Identifier: MIT
// Names for URLs out of titles in any script; an ES module.
const LETTERS = { ß: 'ss', æ: 'ae', ø: 'o', đ: 'd', ł: 'l' };

export const handler = async ({ titles }) => {
  const seen = new Map();
  return titles.map((title) => {
    const slug = title.toLowerCase().replace(/[ßæøđł]/g, (letter) => LETTERS[letter])
      .normalize('NFKD').replace(/\p{M}/gu, '').replace(/[^\p{L}\p{N}]+/gu, '-')
      .replace(/^-|-$/g, '');
    const count = (seen.get(slug) ?? 0) + 1;
    seen.set(slug, count);
    return count > 1 ? `${slug}-${count}` : slug;
  });
};
