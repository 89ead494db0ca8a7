/** The tests beside this file, on MySQL. */
process.env['TEST_DATABASE'] = 'mysql';
await import('./order-payments.test.js');
