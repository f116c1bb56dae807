// Answers the questions of sigstore_read.py with @sigstore/verify.
//
// usage: node sigstore_read.mjs NODE_MODULES < questions.jsonl > answers.jsonl
//
// Each question: {"pem": {"<keyid>": "<PEM>"}, "envelope": {…}}. Each answer: {"accepted": true | false, "why"}.

import { createInterface } from 'node:readline'
import { createRequire } from 'node:module'

const require = createRequire(`${process.argv[2]}/`)
const { Verifier, VerificationError, toSignedEntity } = require('@sigstore/verify')
const { bundleFromJSON, BUNDLE_V03_MEDIA_TYPE } = require('@sigstore/bundle')
const { crypto } = require('@sigstore/core')

for await (const line of createInterface({ input: process.stdin })) {
  const { pem, envelope } = JSON.parse(line)
  // A bundle without certificate, log entry or time stamp: the key alone is what we trust.
  const bundle = bundleFromJSON({
    mediaType: BUNDLE_V03_MEDIA_TYPE,
    verificationMaterial: { publicKey: { hint: envelope.signatures[0].keyid }, tlogEntries: [] },
    dsseEnvelope: envelope
  })
  const publicKey = (hint) => {
    if (!(hint in pem)) throw new VerificationError({ code: 'PUBLIC_KEY_ERROR', message: `no key ${hint}` })
    return { publicKey: crypto.createPublicKey(pem[hint]), validFor: () => true }
  }
  const trusted = { certificateAuthorities: [], timestampAuthorities: [], tlogs: [], ctlogs: [], publicKey }
  const verifier = new Verifier(trusted, { ctlogThreshold: 0, tlogThreshold: 0, timestampThreshold: 0 })
  try {
    verifier.verify(toSignedEntity(bundle))
    console.log(JSON.stringify({ accepted: true }))
  } catch (error) {
    // Anything else is a mistake of this file, not a refusal.
    if (!(error instanceof VerificationError)) throw error
    console.log(JSON.stringify({ accepted: false, why: error.code }))
  }
}
