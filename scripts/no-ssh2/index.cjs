'use strict'

/** What dockerode asks of ssh2 when, and only when, an engine is addressed as ssh://. */
exports.Client = class {
  constructor() {
    throw new Error('Cannot reach Docker over ssh://: name the socket of the local engine instead')
  }
}
