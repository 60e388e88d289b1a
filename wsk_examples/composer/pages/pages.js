// Reads page after page until there is none, and keeps how long each was.
const composer = require('openwhisk-composer')

module.exports = composer.let(
  { sizes: [] },
  composer.while(
    ({ next }) => ({ value: next !== null }),
    composer.seq(
      'example-pages/page',
      ({ lines, next }) => {
        sizes.push(lines.length)
        return { next }
      })),
  () => ({ pages: sizes.length, lines: sizes.reduce((sum, size) => sum + size, 0) }))
