import { adminSuite } from './admin-suite.js';
import { openNamespace } from './namespace.js';

const namespace = openNamespace();

adminSuite(namespace.settings, () => namespace.dispose());
