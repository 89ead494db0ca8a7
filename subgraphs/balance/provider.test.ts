import { expect, test } from '@jest/globals';
import { createSandboxProvider, type ChargeRequest } from './provider.js';

const charge = (amount: number, method: ChargeRequest['method'] = 'CREDIT_CARD', waitedMs = 0) =>
  createSandboxProvider({ now: () => 1_000_000 + waitedMs }).charge({
    paymentId: 'p1',
    orderId: 'o1',
    method,
    amount,
    requestedAt: 1_000_000,
  });

test('any other total is approved at once, with the same reference however often it is asked', async () => {
  const approved = { outcome: 'APPROVED', reference: 'sandbox-p1' };
  expect([await charge(1), await charge(599_999), await charge(599_999)]).toEqual([approved, approved, approved]);
});

test('402.02 is declined, with a reason per method', async () => {
  expect(await charge(402_02)).toEqual({ outcome: 'DECLINED', reason: 'CARD_DECLINED' });
  expect(await charge(402_02, 'PIX')).toEqual({ outcome: 'DECLINED', reason: 'PIX_REJECTED' });
  expect(await charge(402_02, 'BOLETO')).toEqual({ outcome: 'DECLINED', reason: 'BOLETO_REFUSED' });
});

test('202.02 is approved and 202.40 declined once the delay has passed since the payment was asked for', async () => {
  expect(await charge(202_02, 'PIX', 500)).toEqual({ outcome: 'PENDING', askAgainInMs: 1_500 });
  expect(await charge(202_02, 'PIX', 2_000)).toMatchObject({ outcome: 'APPROVED' });
  expect(await charge(202_40, 'PIX', 1_999)).toEqual({ outcome: 'PENDING', askAgainInMs: 1 });
  expect(await charge(202_40, 'PIX', 2_000)).toEqual({ outcome: 'DECLINED', reason: 'PIX_REJECTED' });
});
