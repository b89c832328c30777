// Command coredns is CoreDNS with only the plugins that the sandbox's Corefile uses.
//
// Upstream's own main links every plugin, and with them the SDKs of three clouds: far more
// to download and to compile than what answers for cluster.local.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"

	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/loadbalance"
	_ "github.com/coredns/coredns/plugin/ready"
)

func main() {
	// Upstream's list of directives fixes the order of the plugins in the chain; these
	// are the ones linked in above, in that order.
	dnsserver.Directives = []string{
		"bind", "ready", "health", "errors", "loadbalance", "cache", "kubernetes",
	}
	coremain.Run()
}
