// What an engine and its servers may leave on the machine, and its removal.
import { existsSync, lstatSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';

const read = (file) => {
	try {
		return readFileSync(file, 'utf8');
	} catch {
		return ''; // it ended meanwhile
	}
};

const subfolders = (folder) => (existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)).filter((path) => lstatSync(path).isDirectory()) : []);

// A server has the host's cgroups: the containers of its own engine are groups beside it, in every hierarchy of v1.
export const groups = (root = '/sys/fs/cgroup') => ['.', ...subfolders(root).map((path) => path.slice(root.length + 1))].flatMap((h) => subfolders(join(root, h, 'docker')));

function inUse(group) {
	return read(join(group, 'cgroup.procs')).trim() !== '' || subfolders(group).some(inUse);
}

function remove(group) {
	subfolders(group).forEach(remove);
	rmdirSync(group);
}

// Nobody removes the groups of containers that were killed with their server. before: the groups of others.
export function removeGroups(before, root) {
	for (const group of groups(root)) if (!before.includes(group) && !inUse(group)) remove(group);
}

export const mounts = (folder) => read('/proc/self/mounts').split('\n').map((line) => line.split(' ')[1] ?? '').filter((path) => path.startsWith(`${folder}/`));

// Mounts below the folder, and processes of an engine that have it among their arguments; a line each.
export function left(folder) {
	const processes = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && /^(docker|containerd|debootstrap)/.test(read(`/proc/${pid}/comm`)))
		.map((pid) => [pid, read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim()]).filter(([, line]) => line.includes(`${folder}/`));
	return [...mounts(folder).map((path) => `mount ${path}`), ...processes.map(([pid, line]) => `process ${pid}: ${line.slice(0, 120)}`)];
}
