/** What the contestants with a ready reply answer: as many bytes of the same fields as the broker's own. */
export const READY_REPLY = JSON.stringify({
  token: `header.${'p'.repeat(260)}.${'s'.repeat(43)}`,
  type: 'scoped',
  customer_id: 'customer-1',
  workspace_id: '550e8400-e29b-41d4-a716-446655440000',
  expires_at: '2030-01-01T00:00:00Z',
  expires_in: 1180,
  refresh_after: '2030-01-01T00:00:00Z',
})
