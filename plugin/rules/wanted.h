/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a process asks for the rules at all: what the fronts decide before they load anything. C, for them. */
#ifndef SIGNCCL_PLUGIN_RULES_WANTED_H_
#define SIGNCCL_PLUGIN_RULES_WANTED_H_

#include <stdlib.h>
#include <strings.h>

/* SIGNCCL_RULES is set, and SIGNCCL_INTERPOSE is not off. */
static inline int signcclRulesAreWanted(void) {
  const char* const rules = getenv("SIGNCCL_RULES");
  const char* const mode = getenv("SIGNCCL_INTERPOSE");
  return rules != NULL && rules[0] != '\0' && (mode == NULL || strcasecmp(mode, "off") != 0);
}

#endif /* SIGNCCL_PLUGIN_RULES_WANTED_H_ */
