import { signIn } from '../../../lib/session.ts'

// A real product asks for a password here.
export async function POST(): Promise<Response> {
  await signIn('acme-rockets')
  return Response.json({ customerId: 'acme-rockets' })
}
