// SPDX-License-Identifier: MIT
// A tree with a package of its own below node_modules, and data; the handler is app/api.convert.
const { readFileSync } = require('fs');
const { join } = require('path');
const measures = require('measures');

const recipes = JSON.parse(readFileSync(join(__dirname, 'recipes.json'), 'utf8'));

exports.convert = async ({ recipe, to }) => ({
  version: measures.version,
  ingredients: recipes[recipe].map(([name, grams]) => [name, measures.convert(grams, to)]),
  directory: process.cwd() === join(__dirname, '..'),
});
