// A flight and a hotel, or neither. The flight is tried three times; if there is no hotel, it is given back.
const composer = require('openwhisk-composer')
const action = name => composer.action(`example-booking/${name}`)

module.exports = composer.let(
  { trip: null, flight: null },
  request => { trip = request },
  composer.retry(2, action('flight')),
  result => { flight = result.seat },
  composer.try(
    composer.seq(
      () => trip,
      action('hotel'),
      ({ room }) => ({ booked: true, flight, room })),
    composer.seq(
      ({ error }) => ({ seat: flight, reason: error }),
      action('release'))))
