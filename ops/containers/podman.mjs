/** A Docker engine's stand-in for machines that have none: podman behind Docker's own API, with images made from packages. */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const PACKAGES = ['podman', 'runc', 'netavark', 'aardvark-dns', 'iptables', 'catatonit'];
const STANDINS = 'ops/containers/standins';

/** crun fails on hybrid cgroups, and inside a container limits cannot be raised above those of the machine. */
const config = (limit) => `[containers]
default_ulimits=["nofile=${limit}:${limit}","nproc=4096:4096"]
[engine]
cgroup_manager="cgroupfs"
runtime="runc"
[network]
network_backend="netavark"
`;

function run(command, args, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    ...options,
  });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed: ${error?.message ?? stderr ?? ''}`);
  return stdout;
}

export class Podman {
  /** Images that stand in for the official ones, by the variable of docker-compose.yml. */
  images = Object.fromEntries(
    ['node', 'kafka', 'mysql', 'mongo'].map((name) => [`${name.toUpperCase()}_IMAGE`, `localhost/tributary-${name}`]),
  );
  #service;

  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), 'tributary-podman-'));
    this.socket = join(this.folder, 'podman.sock');
    const limit = Math.min(20_000, Number(run('sh', ['-c', 'ulimit -Hn'])) || 20_000);
    writeFileSync(join(this.folder, 'containers.conf'), config(limit));
    this.env = {
      ...process.env,
      CONTAINERS_CONF: join(this.folder, 'containers.conf'),
      DOCKER_HOST: `unix://${this.socket}`,
      // BuildKit would want an image of its own.
      DOCKER_BUILDKIT: '0',
    };
  }

  podman(...args) {
    return run('podman', args, { env: this.env });
  }

  /** Installs podman where it is missing, makes the images that are missing or stale, and serves Docker's API. */
  async start(engines) {
    if (spawnSync('dpkg', ['-s', ...PACKAGES], { stdio: 'ignore' }).status !== 0) {
      console.log('Installing podman …');
      run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...PACKAGES]);
    }
    this.#makeImages(engines);
    this.#service = spawn('podman', ['system', 'service', '--time=0', `unix://${this.socket}`], {
      env: this.env,
      stdio: 'ignore',
    });
    while (!existsSync(this.socket)) await delay(50);
  }

  /** podman leaves the schedule of health checks to systemd; here it is this. Answers how to stop it. */
  watchHealth(project) {
    let watching = true;
    const loop = (async () => {
      while (watching) {
        const names = this.podman(
          'ps',
          '--filter',
          `label=com.docker.compose.project=${project}`,
          '--format',
          '{{.Names}} {{.Status}}',
        );
        for (const line of names.trim().split('\n')) {
          const [name, ...status] = line.split(' ');
          // A container without a check, or gone by now, answers with an error.
          if (watching && /\((?!healthy)/.test(status.join(' '))) {
            await new Promise((done) =>
              spawn('podman', ['healthcheck', 'run', name], { env: this.env, stdio: 'ignore' }).once('close', done),
            );
          }
        }
        await delay(500);
      }
    })();
    return async () => {
      watching = false;
      await loop;
    };
  }

  async stop() {
    if (this.#service) {
      const gone = new Promise((done) => this.#service.once('close', done));
      this.#service.kill('SIGTERM');
      await gone;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  #makeImages({ rootfs, kafka, ferretdb }) {
    const stamp = createHash('sha256');
    for (const file of readdirSync(STANDINS).sort()) stamp.update(readFileSync(join(STANDINS, file)));
    const label = `tributary.standin=${stamp.digest('hex').slice(0, 16)}`;
    const made = this.podman('images', '-q', '--filter', `label=${label}`).trim().split('\n').filter(Boolean);
    if (new Set(made).size >= 4) return;
    console.log('Making images from the installed engines …');
    this.#importRootfs(rootfs);
    const context = join(this.folder, 'context');
    mkdirSync(context);
    cpSync(STANDINS, context, { recursive: true });
    const node = realpathSync(process.execPath);
    cpSync(node, join(context, 'node'));
    cpSync(realpathSync(join(dirname(node), '../lib/node_modules/npm')), join(context, 'npm'), {
      recursive: true,
      dereference: true,
    });
    cpSync('/etc/ssl/certs/ca-certificates.crt', join(context, 'ca-certificates.crt'), { dereference: true });
    cpSync(kafka, join(context, 'kafka'), { recursive: true });
    cpSync(ferretdb, join(context, 'ferretdb'));
    const java = dirname(dirname(realpathSync(run('sh', ['-c', 'command -v java']).trim())));
    mkdirSync(join(context, 'java'));
    // Debian's JDK links to files of packages that need not be there.
    run('sh', [
      '-c',
      'tar -C "$0" -h --exclude=src.zip --exclude=jmods --ignore-failed-read -cf - . 2>/dev/null | tar -C "$1" -xf -',
      java,
      join(context, 'java'),
    ]);
    for (const [variable, image] of Object.entries(this.images)) {
      const target = variable.replace('_IMAGE', '').toLowerCase();
      this.podman('build', '-q', '--target', target, '--label', label, '-t', image, context);
    }
    rmSync(context, { recursive: true, force: true });
  }

  #importRootfs(rootfs) {
    const without = ['./proc/*', './dev/*', './sys/*', './tmp/*', './var/cache/*', './var/lib/apt/lists/*'];
    const exclude = without.map((path) => `--exclude=${path}`).join(' ');
    run('sh', ['-c', `tar -C "$0" ${exclude} -cf - . | podman import -q - localhost/tributary-rootfs`, rootfs], {
      env: this.env,
    });
  }
}
