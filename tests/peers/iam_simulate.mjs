// Answers the questions of iam_simulate.py with @cloud-copilot/iam-simulate.
//
// usage: node iam_simulate.mjs NODE_MODULES < questions.jsonl > answers.jsonl
//
// Each answer: {"id", "decision": "allowed" | "denied" | "refused", "result", "why"}.

import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'

const entry = `${process.argv[2]}/@cloud-copilot/iam-simulate/dist/esm/index.js`
const { runSimulation } = await import(pathToFileURL(entry))

const named = (policies) =>
  policies.map((policy, index) => ({ name: `p${index}`, policy }))
const levels = (list) =>
  list.map((policies, index) => ({ orgIdentifier: `ou-${index}`, policies: named(policies) }))

for await (const line of createInterface({ input: process.stdin })) {
  const q = JSON.parse(line)
  const simulation = {
    request: {
      principal: q.principal,
      action: q.action,
      resource: { resource: q.key.arn, accountId: q.key.arn.split(':')[4] },
      contextVariables: q.context
    },
    identityPolicies: named(q.identity_policies),
    serviceControlPolicies: levels(q.service_control_policies),
    resourceControlPolicies: levels(q.resource_control_policies),
    resourcePolicy: q.key.policy,
    permissionBoundaryPolicies: q.permissions_boundary ? named([q.permissions_boundary]) : undefined,
    sessionPolicy: q.session_policies ? q.session_policies[0] : undefined
  }
  const answer = { id: q.id }
  try {
    const found = await runSimulation(simulation, {})
    if (found.resultType === 'error') {
      answer.decision = 'refused'
      answer.why = found.errors
    } else {
      answer.decision = found.overallResult === 'Allowed' ? 'allowed' : 'denied'
      answer.result = found.overallResult
      answer.ignored = found.result?.ignoredContextKeys
    }
  } catch (error) {
    answer.decision = 'refused'
    answer.why = String(error)
  }
  console.log(JSON.stringify(answer))
}
