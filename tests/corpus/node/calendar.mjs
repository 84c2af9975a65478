// SPDX-License-Identifier: MIT
// Dates as people of several countries and zones write them: what ICU and the zones know.
export default ({ instant, zones, languages }) => {
  const date = new Date(instant);
  if (Number.isNaN(date.getTime()))
    throw new RangeError(`no date: ${instant}`);
  return {
    zones: zones.map((timeZone) => date.toLocaleString('sv-SE', { timeZone })),
    languages: languages.map((language) => new Intl.DateTimeFormat(language, {
      dateStyle: 'long', timeZone: 'UTC' }).format(date)),
    number: new Intl.NumberFormat('de-DE', { style: 'currency', currency: 'EUR' })
      .format(1234567.891),
    sorted: ['zebra', 'Äpfel', 'apple', 'Öl'].sort(new Intl.Collator('de').compare),
    own: [process.env.TZ ?? '', date.getHours()],
  };
};
