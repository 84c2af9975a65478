/* SPDX-License-Identifier: MIT */
/* The door of base: all its subjects, each in a header of its own. */
#ifndef NOVA_LIB_BASE_H
#define NOVA_LIB_BASE_H

#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <nova/base.h>
#include <nova/interrupt.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/environment.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/path.h"
#include "base/program.h"
#include "base/progress.h"
#include "base/random.h"
#include "base/reserve.h"
#include "base/stop.h"
#include "base/sys.h"
#include "base/sys_at.h"
#include "base/sys_detach.h"
#include "base/sys_net.h"
#include "base/sys_process.h"
#include "base/sys_socket.h"
#include "base/sys_sparse.h"
#include "base/text.h"
#include "base/thread.h"

#endif
