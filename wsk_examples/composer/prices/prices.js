// What a basket costs: each article is looked up at the same time as the others, then they are added up.
const composer = require('openwhisk-composer')

module.exports = composer.seq(
  ({ articles }) => ({ value: articles }),
  composer.map('example-prices/price'),
  ({ value }) => ({
    total: value.reduce((sum, { cost }) => sum + (cost || 0), 0),
    unknown: value.filter(({ error }) => error).map(({ error }) => error)
  }))
