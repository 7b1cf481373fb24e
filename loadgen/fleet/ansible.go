package fleet

import (
	"fmt"
	"strings"

	"github.com/fltool/fltool/server/wire"
)

// ansible is a playbook with its inventory: machines, and the shards that run on them.
func ansible(f Fleet) ([]File, error) {
	if len(f.Hosts) == 0 || len(f.Hosts) > len(f.Shards) {
		return nil, fmt.Errorf("%d hosts for %d shards: want one at least, and a shard for each", len(f.Hosts), len(f.Shards))
	}
	var config, inventory text
	config.comment(0, "read in this folder alone: all shards run at once")
	config.line("[defaults]\ninventory = inventory.yml\nforks = %d\nretry_files_enabled = false", len(f.Shards))
	f.inventory(&inventory)
	files := []File{{"fleet.yml", open, f.playbook()}, {"inventory.yml", open, inventory.bytes()}, {"ansible.cfg", open, config.bytes()}}
	return append(files, f.onDisk()...), nil
}

// inventory has each machine once, for what is of a machine, and each shard with its
// machine's address.
func (f Fleet) inventory(t *text) {
	carries := make([]int, len(f.Hosts))
	for i, s := range f.Shards {
		carries[i%len(f.Hosts)] += s.Workers
	}
	login := func(host string) string {
		user, address, with := strings.Cut(host, "@")
		if !with {
			return "ansible_host: " + quoted(host)
		}
		return fmt.Sprintf("ansible_host: %s, ansible_user: %s", quoted(address), quoted(user))
	}
	t.line("machines:\n  hosts:")
	for i, host := range f.Hosts {
		t.line("    machine-%d: {%s, fltool_workers: %d}", i+1, login(host), carries[i])
	}
	t.line("shards:\n  hosts:")
	for i := range f.Shards {
		t.line("    shard-%d: {%s, fltool_shard: %d}", i+1, login(f.Hosts[i%len(f.Hosts)]), i+1)
	}
}

// The playbook's folder on a machine, and a shard's within it.
const (
	machineDir = "{{ fltool_dir }}"
	shardDir   = machineDir + "/{{ fltool_shard }}"
)

func (f Fleet) playbook() []byte {
	var t text
	t.comment(0, "ansible-playbook fleet.yml, in this folder. -e fltool_fix=false leaves the machines' limits as they are.")
	t.machines(f)
	t.shards(f)
	t.line("- name: one report\n  hosts: localhost\n  connection: local\n  gather_facts: false\n  tasks:")
	t.task("add the shards up", "command", "argv: [./fltool, report, --out, whole.json, reports]", `chdir: "{{ playbook_dir }}"`)
	t.line("      register: whole\n      changed_when: false\n      failed_when: false")
	t.line("    - name: the whole run\n      ansible.builtin.debug:\n        msg: \"{{ whole.stdout_lines + whole.stderr_lines }}\"\n      failed_when: whole.rc != 0")
	return t.bytes()
}

// task is one of a module with its arguments.
func (t *text) task(name, module string, args ...string) {
	t.line("    - name: %s\n      ansible.builtin.%s:", name, module)
	for _, arg := range args {
		t.line("        %s", arg)
	}
}

// machines makes each machine able to carry its shards.
func (t *text) machines(f Fleet) {
	t.line("- name: machines\n  hosts: machines\n  gather_facts: false\n  vars: {fltool_dir: \"~/.fltool-%s\", fltool_fix: true}\n  tasks:", f.Name)
	t.task("a folder", "file", "path: "+quoted(machineDir), "state: directory", `mode: "0700"`)
	t.task("fltool", "copy", "src: fltool", "dest: "+quoted(machineDir+"/fltool"), `mode: "0755"`)
	t.comment(4, "Judged is a login of this user, whose descriptors, ports and flows the workers take. What is left to do by hand is about servers, or not known: simulate looks for itself.")
	t.task("what limits its workers", "shell", "chdir: "+quoted(machineDir), `cmd: ./fltool fix --workers {{ fltool_workers }} --user "$(id -un)"`)
	t.line("      when: fltool_fix | bool\n      register: judged\n      changed_when: false\n      failed_when: judged.rc not in [0, 1, 3]")
	t.task("fix it", "command", "argv: [sh, -s]", `stdin: "{{ judged.stdout }}"`)
	t.line("      when: fltool_fix | bool\n      become: true")
	t.line("    - name: log in anew, with the new limits\n      ansible.builtin.meta: reset_connection")
}

// shards runs them all at once, and brings the reports here.
func (t *text) shards(f Fleet) {
	t.line("- name: shards\n  hosts: shards\n  gather_facts: false\n  vars: {fltool_dir: \"~/.fltool-%s\"}\n  tasks:", f.Name)
	t.task("no reports of another run", "file", `path: "{{ playbook_dir }}/reports"`, "state: absent")
	t.line("      delegate_to: localhost\n      run_once: true\n      vars: {ansible_connection: local}")
	t.task("no report of another run", "file", "path: "+quoted(shardDir+"/reports"), "state: absent")
	t.task("a folder", "file", "path: "+quoted(shardDir+"/reports"), "state: directory", `mode: "0700"`)
	for _, in := range f.Files {
		t.task(in.Name, "copy", "src: "+in.Name, "dest: "+quoted(shardDir+"/"+in.Name), `mode: "0600"`)
	}
	t.line("    - name: keys and run\n      block:")
	var block text
	if f.keyed() {
		block.task("the keys of its workers alone", "copy", `src: "keys/{{ fltool_shard }}/`+wire.KeyBundleFile+`"`, "dest: "+quoted(shardDir+"/"+wire.KeyBundleFile), `mode: "0600"`)
		block.line("      no_log: true")
	}
	if f.Start.After > 0 {
		block.comment(4, "one moment for all, by this machine's clock")
		block.line("    - name: when all begin\n      ansible.builtin.set_fact:\n        fltool_start: \"{{ '%%Y-%%m-%%dT%%H:%%M:%%SZ' | strftime(now().timestamp() + %d, utc=true) }}\"\n      run_once: true", f.Start.seconds())
	}
	block.task("the load", "shell", "chdir: "+quoted(shardDir), "cmd: !unsafe "+quoted(f.shell("../fltool", ".", f.out("reports", "run.json")))) // no template, whatever it holds
	block.line("      environment:\n        FLTOOL_SHARD: \"{{ fltool_shard }}/%d\"", len(f.Shards))
	switch {
	case f.Start.After > 0:
		block.line("        %s: \"{{ fltool_start }}\"", startVariable)
	case !f.Start.At.IsZero():
		block.line("        %s: %s", startVariable, quoted(moment(f.Start.At)))
	}
	block.comment(6, "its exit code is that of its verdict, which is in its report")
	block.line("      register: load\n      failed_when: load.rc | default(3) not in [0, 1, 3]\n      async: 604800\n      poll: 2")
	for line := range strings.Lines(block.String()) {
		t.line("    %s", strings.TrimSuffix(line, "\n"))
	}
	if f.keyed() {
		t.line("      always:\n        - name: no keys are left\n          ansible.builtin.file:\n            path: %s\n            state: absent", quoted(shardDir+"/"+wire.KeyBundleFile))
	}
	t.line("    - name: what it said\n      ansible.builtin.debug:\n        msg: \"{{ load.stderr_lines }}\"\n      when: load.rc != 0")
	t.task("its reports", "find", "paths: "+quoted(shardDir+"/reports"))
	t.line("      register: made\n      failed_when: made.files | length == 0")
	t.task("bring them here", "fetch", `src: "{{ item.path }}"`, `dest: "reports/{{ fltool_shard }}-{{ item.path | basename }}"`, "flat: true")
	t.line("      loop: \"{{ made.files }}\"\n      loop_control: {label: \"{{ item.path | basename }}\"}")
}
