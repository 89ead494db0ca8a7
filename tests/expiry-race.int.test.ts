/** On Kafka, MySQL and MongoDB. */
process.env['TEST_ENGINES'] = 'servers';
const { expiryRaceSuite } = await import('./expiry-race-suite.js');

expiryRaceSuite(300, 12);
