/** The graph over HTTP, and every operation of this page. */

const CALLER = 'query Caller { me { id name role } }';

const LOGIN = `mutation Login($email: String!, $password: String!) {
  login(input: { email: $email, password: $password }) { accessToken user { id name role } }
}`;

const PRODUCTS = `query InStock {
  products(filter: { inStock: true }, sort: PRICE_ASC, first: 25) { nodes { id name price available } }
}`;

const FIELDS = `id version status total cancelReason createdAt
    user { name }
    items { name quantity unitPrice subtotal }
    payment { method status reference }
    history { version status at reason }`;

const CREATE = `mutation CreateOrder($productId: ID!, $idempotencyKey: String!) {
  createOrder(input: { items: [{ productId: $productId, quantity: 1 }], idempotencyKey: $idempotencyKey }) {
    order { ${FIELDS} }
  }
}`;

const PAY = `mutation PayOrder($id: ID!) {
  payOrder(input: { id: $id, method: PIX }) { order { ${FIELDS} } }
}`;

const CANCEL = `mutation CancelOrder($id: ID!) {
  cancelOrder(input: { id: $id, reason: "Changed my mind" }) { order { ${FIELDS} } }
}`;

const MOVE = `mutation UpdateOrderStatus($id: ID!, $status: OrderStatus!) {
  updateOrderStatus(input: { id: $id, status: $status }) { order { ${FIELDS} } }
}`;

const TIMELINE = `query Timeline($id: ID!) {
  timeline(aggregateId: $id) { id type source aggregateId version at topic partition offset }
}`;

const ORDER = `query Order($id: ID!, $minVersion: Int!) {
  order(id: $id, minVersion: $minVersion) { ${FIELDS} }
}`;

/** What the page listens to; `after` is the cursor of the last message it has dealt with. */
export const WATCH = `subscription OrderStatusChanged($orderId: ID!, $after: String) {
  orderStatusChanged(orderId: $orderId, after: $after) { kind cursor status order { ${FIELDS} } }
}`;

/** An answer that was an error; `code` is one of the graph's, or OFFLINE where no answer came. */
export class GraphError extends Error {
  constructor(message, code) {
    super(message);
    this.code = code;
  }
}

/** Who asks is known by a token that lives as long as the page: it is stored nowhere. */
export class Graph {
  #endpoint;
  #token = null;

  constructor(endpoint) {
    this.#endpoint = endpoint;
  }

  /** Where the same graph is over WebSocket. */
  get socketUrl() {
    const url = new URL(this.#endpoint);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    return url.href;
  }

  /** As connection_init takes it. */
  get credentials() {
    return this.#token === null ? {} : { authorization: `Bearer ${this.#token}` };
  }

  get hasToken() {
    return this.#token !== null;
  }

  forget() {
    this.#token = null;
  }

  /** Who the caller is: the demo administrator without any token in demo mode, null where somebody has to log in. */
  caller = async () => (await this.#run(CALLER)).me;

  async logIn(email, password) {
    this.forget();
    const { login } = await this.#run(LOGIN, { email, password });
    this.#token = login.accessToken;
    return login.user;
  }

  products = async () => (await this.#run(PRODUCTS)).products.nodes;

  createOrder = async (productId, idempotencyKey) =>
    (await this.#run(CREATE, { productId, idempotencyKey })).createOrder.order;

  pay = async (id) => (await this.#run(PAY, { id })).payOrder.order;
  cancel = async (id) => (await this.#run(CANCEL, { id })).cancelOrder.order;
  move = async (id, status) => (await this.#run(MOVE, { id, status })).updateOrderStatus.order;

  /** Every event of an order, oldest first. */
  timeline = async (id) => (await this.#run(TIMELINE, { id })).timeline;

  /** An order at that version or a newer one. */
  order = async (id, minVersion) => (await this.#run(ORDER, { id, minVersion })).order;

  async #run(query, variables = {}) {
    let answer;
    try {
      const response = await fetch(this.#endpoint, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...this.credentials },
        body: JSON.stringify({ query, variables }),
      });
      answer = await response.json();
    } catch {
      throw new GraphError('The gateway does not answer. Try again in a moment.', 'OFFLINE');
    }
    const [error] = answer.errors ?? [];
    if (error !== undefined) throw new GraphError(error.message, error.extensions?.code ?? 'INTERNAL');
    return answer.data;
  }
}
