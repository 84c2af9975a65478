/* SPDX-License-Identifier: MIT */
/* Guests with a network, in a network namespace of the test's own: bridge, TAPs and rules are
 * there, and the host's network is left alone. */
#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include "platform.h"
#include "unit/netns.h"

#define PORT 8000

/* --- a web server on this host --- */

/* Answers every request with who asked; "/both" not before two of them are there. Ends with the
 * process. */
static void answer(int client)
{
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	char text[INET_ADDRSTRLEN];
	if (getpeername(client, (struct sockaddr *)&from, &len) == 0 &&
		inet_ntop(AF_INET, &from.sin_addr, text, sizeof(text))) {
		AUTO_FREE char *body = str_format(
			"{\"login\": \"octocat\", \"name\": \"The Octocat\", \"from\": \"%s\"}",
			text);
		AUTO_FREE char *reply = str_format(
			"HTTP/1.0 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
		sys_send(client, reply, strlen(reply), 0);
	}
	fd_close(client);
}

static void *serve(void *listener)
{
	int waiting = -1;
	for (;;) {
		char request[1024];
		int client = accept((int)(intptr_t)listener, NULL, NULL);
		ssize_t got = client < 0 ? -1 : sys_recv(client, request, sizeof(request) - 1, 0);
		if (got <= 0)
			continue;
		request[got] = 0;
		bool both = strstr(request, "/both");
		if (both && waiting < 0) {
			waiting = client;
			continue;
		}
		answer(client);
		if (both)
			answer(STEAL_FD(waiting));
	}
	return NULL;
}

static void start_server(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	pthread_t thread;
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(fd, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)) | listen(fd, 16), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd), 0);
	pthread_detach(thread);
}

/* --- functions and guests --- */

static struct platform open_with_network(void)
{
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	start_server();
	return platform_open(NULL);
}

static void add(nova_t *nova, const char *name, const char *network, const char *source)
{
	nova_function_opts o = NOVA_FUNCTION_OPTS_INIT;
	o.name = name;
	o.runtime = "python";
	o.code = source;
	o.code_len = strlen(source);
	o.network = network;
	o.init_timeout_s = 300; /* what needs a network imports much */
	o.check = NOVA_CHECK_NEVER;
	ck_ok(nova_function_register(nova, &o, NULL, &error));
}

static nova_vm_t *start(const struct platform *p)
{
	nova_vm_t *vm;
	nova_vm_opts o = NOVA_VM_OPTS_INIT;
	o.network = "nat";
	ck_ok(nova_vm_start(nova_host_get(p->nova), &o, &vm, &error));
	return vm;
}

/* What a command in the guest prints. */
static char *ask(nova_vm_t *vm, const char *command)
{
	const char *const argv[] = { "sh", "-c", command };
	nova_vm_command_opts o = NOVA_VM_COMMAND_OPTS_INIT;
	nova_result_t *r;
	o.argv = argv;
	o.argc = 3;
	ck_ok(nova_vm_command(vm, &o, &r, &error));
	ck_assert_msg(
		nova_result_exit_code(r) == 0, "%s: %s", command, nova_result_stderr(r, NULL));
	char *text = strdup(nova_result_stdout(r, NULL));
	nova_result_free(r);
	return text;
}

static void ck_seen_as(nova_vm_t *vm, const char *address)
{
	AUTO_FREE char *text = ask(vm, "wget -q -O - http://172.30.0.1:8000/"),
		       *wanted = str_format("\"from\": \"%s\"", address);
	ck_assert_msg(strstr(text, wanted), "%s, not %s", text, address);
}

/* --- cases --- */

/* The example calls a service of the public network by HTTPS; another address of it is a variable.
 */
static void add_example(nova_t *nova, const char *service)
{
	AUTO_FREE char *variable = str_format("USERS_API=%s", service);
	const char *const env[] = { variable };
	nova_function_opts o = NOVA_FUNCTION_OPTS_INIT;
	o.name = "fetch";
	o.runtime = "python";
	o.code_path = NOVA_SOURCE_ROOT "/examples/functions/python/fetch.py";
	o.env = env;
	o.env_count = 1;
	o.network = "nat";
	o.init_timeout_s = 300;
	ck_ok(nova_function_register(nova, &o, NULL, &error));
}

START_TEST(the_example_of_a_network_call_returns_login_and_name)
{
	struct platform p = open_with_network();
	add_example(p.nova, "http://172.30.0.1:8000/users/");
	platform_answers(p.nova, "fetch", "{\"login\": \"octocat\", \"name\": \"The Octocat\"}");
	platform_answers(p.nova, "fetch", "{\"login\": \"octocat\", \"name\": \"The Octocat\"}");
	ck_assert_uint_eq(netns_count_taps(), 1);
	platform_close(&p);
	ck_assert_uint_eq(netns_count_taps(), 0);
}
END_TEST

static void sh(const char *format, pid_t pid)
{
	AUTO_FREE char *command =
		str_format("export PATH=$PATH:/usr/sbin:/sbin; %s %d", format, (int)pid);
	const char *const argv[] = { "sh", "-c", command, NULL };
	pid_t child = fork();
	int status;
	if (!child) {
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(status == 0, "%s", command);
}

/* Another host, in another namespace, which knows no way to the guests' subnet. */
static pid_t start_neighbour(int told, int done)
{
	char byte = 0;
	pid_t pid = fork();
	if (pid)
		return pid;
	if (unshare(CLONE_NEWNET) < 0 || sys_write_all(done, &byte, 1) < 0 ||
		sys_read(told, &byte, 1) != 1)
		_exit(1);
	sh("ip addr add 10.77.0.2/24 dev inside && ip link set inside up #", 0);
	start_server();
	sys_write_all(done, &byte, 1);
	for (;;)
		pause();
}

/* Whether each of its calls in place has reached this host. */
#define REACHES                                                                                    \
	"import socket\n"                                                                          \
	"__nova_in_place__ = True\n"                                                               \
	"reached = []\n"                                                                           \
	"def handler(event):\n"                                                                    \
	"    try:\n"                                                                               \
	"        socket.create_connection(('172.30.0.1', 8000), 3).close()\n"                      \
	"        reached.append(1)\n"                                                              \
	"    except OSError:\n"                                                                    \
	"        reached.append(0)\n"                                                              \
	"    return reached\n"

START_TEST(a_rehearsal_has_no_network_and_the_call_behind_it_has)
{
	struct platform p = open_with_network();
	nova_function_opts o = NOVA_FUNCTION_OPTS_INIT;
	const char *path = "";
	nova_result_t *r = NULL;
	o.name = "f";
	o.runtime = "python";
	o.code = REACHES;
	o.code_len = strlen(REACHES);
	o.network = "nat";
	o.rehearse = "{}";
	ck_ok(nova_function_register(p.nova, &o, NULL, &error));
	do {
		nova_invoke_opts fresh = NOVA_INVOKE_OPTS_INIT;
		fresh.flags = NOVA_INVOKE_FRESH;
		nova_result_free(r);
		ck_ok(nova_invoke(p.nova, "f", "{}", &fresh, &r, &error));
		path = nova_result_path(r);
		nova_pool_tick(nova_pool_get(p.nova));
		sys_poll(NULL, 0, 50);
	} while (!strcmp(path, "classic"));
	ck_assert_str_eq(nova_result_output(r, NULL), "[0, 1]");
	nova_result_free(r);
	platform_close(&p);
}
END_TEST

START_TEST(a_guest_reaches_another_host_in_this_hosts_name)
{
	int told[2], done[2];
	char byte = 0;
	struct platform p = open_with_network();
	if (!fs_exists("/sbin/ip") && !fs_exists("/usr/sbin/ip")) {
		platform_close(&p);
		test_skip("there is no program ip");
	}
	ck_assert_int_eq(sys_pipe(told) | sys_pipe(done), 0);
	pid_t neighbour = start_neighbour(told[0], done[1]);
	ck_assert_int_eq(sys_read(done[0], &byte, 1), 1);
	sh("ip link add outside type veth peer name inside && ip addr add 10.77.0.1/24 dev outside "
	   "&& ip link set outside up && ip link set inside netns",
		neighbour);
	ck_assert_int_eq(sys_write_all(told[1], &byte, 1), 0);
	ck_assert_int_eq(sys_read(done[0], &byte, 1), 1);
	nova_vm_t *vm = start(&p);
	AUTO_FREE char *text = ask(vm, "wget -q -O - http://10.77.0.2:8000/");
	ck_assert_msg(strstr(text, "\"from\": \"10.77.0.1\""), "%s", text);
	nova_vm_free(vm);
	kill(neighbour, SIGKILL);
	waitpid(neighbour, NULL, 0);
	for (int i = 0; i < 2; i++) {
		fd_close(told[i]);
		fd_close(done[i]);
	}
	platform_close(&p);
}
END_TEST

START_TEST(a_function_has_no_network_unless_it_is_asked_for)
{
	struct platform p = open_with_network();
	add(p.nova, "alone", NULL,
		"import os\ndef handler(event):\n    return "
		"sorted(os.listdir('/sys/class/net'))\n");
	platform_answers(p.nova, "alone", "[\"lo\"]");
	ck_assert_uint_eq(netns_count_taps(), 0);
	ck_assert_uint_eq(if_nametoindex("novabr0"), 0);
	platform_close(&p);
}
END_TEST

static const char waits_for_another[] =
	"import json, urllib.request\n"
	"def handler(event):\n"
	"    with urllib.request.urlopen('http://172.30.0.1:8000/both', timeout=60) as reply:\n"
	"        seen = json.load(reply)['from']\n"
	"    servers = [line for line in open('/etc/resolv.conf') if line.startswith('nameserver "
	"')]\n"
	"    mac = open('/sys/class/net/eth0/address').read().strip()\n"
	"    return [seen, mac, len(servers) > 0]\n";

static void *call_both(void *nova)
{
	nova_result_t *r = NULL;
	nova_error_t *failure = NULL;
	int code = nova_invoke(nova, "both", "{}", NULL, &r, &failure);
	char *output = code == 0 ? strdup(nova_result_output(r, NULL)) :
				   str_format("%s", nova_error_message(failure));
	nova_error_free(failure);
	nova_result_free(r);
	return output;
}

START_TEST(clones_of_one_template_have_addresses_of_their_own)
{
	struct platform p = open_with_network();
	pthread_t other;
	void *second;
	add(p.nova, "both", "nat", waits_for_another);
	ck_assert_int_eq(pthread_create(&other, NULL, call_both, p.nova), 0);
	AUTO_FREE char *first = call_both(p.nova);
	ck_assert_int_eq(pthread_join(other, &second), 0);
	const char *low = strcmp(first, second) < 0 ? first : second,
		   *high = low == first ? second : first;
	/* Which addresses they get depends on whether the template's own guest was still there. */
	ck_assert_str_ne(low, high);
	ck_assert_msg(str_starts(low, "[\"172.30.0.") && str_starts(high, "[\"172.30.0."), "%s %s",
		low, high);
	ck_assert_msg(strstr(low, "02:fc:00:1e:00:0") && strstr(low, "true]"), "%s", low);
	ck_assert_msg(strstr(high, "02:fc:00:1e:00:0") && strstr(high, "true]"), "%s", high);
	ck_assert_uint_eq(netns_count_taps(), 2);
	free(second);
	platform_close(&p);
	ck_assert_uint_eq(netns_count_taps(), 0);
}
END_TEST

START_TEST(children_get_addresses_and_their_parent_keeps_its_own)
{
	struct platform p = open_with_network();
	nova_vm_t *parent = start(&p), *children[2];
	ck_seen_as(parent, "172.30.0.2");
	ck_ok(nova_vm_fork(parent, 2, NULL, children, &error));
	ck_seen_as(children[1], "172.30.0.4");
	ck_seen_as(parent, "172.30.0.2");
	ck_seen_as(children[0], "172.30.0.3");
	nova_vm_free(children[0]);
	ck_ok(nova_vm_fork(children[1], 1, NULL, children, &error));
	ck_seen_as(children[0], "172.30.0.5");
	for (int i = 0; i < 2; i++)
		nova_vm_free(children[i]);
	ck_assert_uint_eq(netns_count_taps(), 1);
	nova_vm_free(parent);
	ck_assert_uint_eq(netns_count_taps(), 0);
	platform_close(&p);
}
END_TEST

START_TEST(a_restored_guest_has_an_address_of_its_own)
{
	struct platform p = open_with_network();
	nova_vm_t *vm = start(&p), *restored;
	nova_snapshot_t *snapshot;
	ck_ok(nova_vm_snapshot(vm, NULL, &snapshot, &error));
	ck_seen_as(vm, "172.30.0.2");
	ck_ok(nova_vm_restore(nova_host_get(p.nova), snapshot, NULL, &restored, &error));
	ck_seen_as(restored, "172.30.0.3");
	AUTO_FREE char *routes = ask(restored, "ip route | grep -c default");
	ck_assert_str_eq(routes, "1\n");
	nova_snapshot_free(snapshot);
	nova_vm_free(restored);
	nova_vm_free(vm);
	platform_close(&p);
}
END_TEST

/* Starts a guest, tells the process of its VMM, and waits for its end. */
static int be_a_host(const struct platform *p, int pipe)
{
	nova_t *nova;
	nova_vm_t *vm;
	nova_vm_opts o = NOVA_VM_OPTS_INIT;
	o.network = "nat";
	if (nova_open(p->config, &nova, NULL) < 0 ||
		nova_vm_start(nova_host_get(nova), &o, &vm, NULL) < 0)
		return 1;
	int64_t vmm = nova_vm_pid(vm);
	sys_write_all(pipe, &vmm, sizeof(vmm));
	for (;;)
		pause();
}

/* Its keeper tidies up, or (1) dies with it, and the next start does. */
START_TEST(a_host_killed_with_9_leaves_no_tap)
{
	struct platform p = open_with_network();
	int ends[2];
	int64_t vmm;
	ck_assert_int_eq(sys_pipe(ends), 0);
	pid_t host = fork();
	if (host == 0)
		_exit(be_a_host(&p, ends[1]));
	ck_assert_int_eq(sys_read(ends[0], &vmm, sizeof(vmm)), sizeof(vmm));
	AUTO_FREE char *mark = str_format("%s/run/%d-", p.dir, (int)host);
	pid_t keeper = vmtest_process(mark);
	ck_assert_int_gt(keeper, 0);
	int pidfds[] = { vmtest_pidfd(keeper), vmtest_pidfd((pid_t)vmm) };
	ck_assert_uint_eq(netns_count_taps(), 1);
	if (_i)
		/* it shall not tidy up between the two */
		ck_assert_int_eq(kill(keeper, SIGSTOP), 0);
	ck_assert_int_eq(kill(host, SIGKILL), 0);
	if (_i)
		ck_assert_int_eq(kill(keeper, SIGKILL), 0);
	ck_assert_int_eq(waitpid(host, NULL, 0), host);
	for (size_t i = 0; i < ARRAY_LEN(pidfds); i++)
		vmtest_await_end(pidfds[i]);
	nova_t *next;
	ck_ok(nova_open(p.config, &next, &error));
	ck_assert_uint_eq(netns_count_taps(), 0);
	nova_close(next);
	fd_close(ends[0]);
	fd_close(ends[1]);
	platform_close(&p);
}
END_TEST

START_TEST(a_network_of_an_unknown_kind_is_refused)
{
	struct platform p = platform_open(NULL);
	nova_vm_t *vm;
	nova_vm_opts o = NOVA_VM_OPTS_INIT;
	o.network = "nato";
	ck_fails_with(NOVA_EINVAL, "nato", nova_vm_start(nova_host_get(p.nova), &o, &vm, &error));
	platform_close(&p);
}
END_TEST

TCase *network_cases(void)
{
	TCase *tc = tcase_create("network");
	tcase_add_test(tc, a_network_of_an_unknown_kind_is_refused);
	if (is_fake())
		return tc;
	if (netns_missing()) {
		netns_add_skip(tc);
		return tc;
	}
	tcase_add_test(tc, the_example_of_a_network_call_returns_login_and_name);
	if (!strcmp(engine, "qemu"))
		tcase_add_test(tc, a_rehearsal_has_no_network_and_the_call_behind_it_has);
	tcase_add_test(tc, a_guest_reaches_another_host_in_this_hosts_name);
	tcase_add_test(tc, a_function_has_no_network_unless_it_is_asked_for);
	tcase_add_test(tc, clones_of_one_template_have_addresses_of_their_own);
	tcase_add_test(tc, children_get_addresses_and_their_parent_keeps_its_own);
	tcase_add_test(tc, a_restored_guest_has_an_address_of_its_own);
	tcase_add_loop_test(tc, a_host_killed_with_9_leaves_no_tap, 0, 2);
	return tc;
}
