import { expiryRaceSuite } from './expiry-race-suite.js';

expiryRaceSuite(42, 4);
